"""The tree of changes and that of divergences: every directory and every path is on exactly one page."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from checker.changes.listing import ChangeListQuery
from checker.divergences.listing import DivergenceListQuery
from checker.pages import change_list, group_matrix
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import StagedReplica, file

pytestmark = pytest.mark.django_db(transaction=True)

DIRECTORIES = ["m1/", "m2/", "m3/", "m4/", "m5/"]
LEAVES = ["a1", "a2", "a3", "z"]
"""Most of them come before the directories in the order of paths."""
PATHS = [f"{directory}x" for directory in DIRECTORIES] + LEAVES


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_list, "PAGE_SIZE", 3)
    monkeypatch.setattr(group_matrix, "PAGE_SIZE", 3)


def test_tree_of_changes() -> None:
    """Leaves that sort before the directories follow on the last page of directories."""
    replica = StagedReplica()
    replica.run([])
    replica.run([file(path, path.encode()) for path in PATHS])
    comparison = replica.compare()

    directories: list[str] = []
    leaves: list[str] = []
    address = "?view=tree"
    while address:
        query = ChangeListQuery.read(QueryDict(address.removeprefix("?")))
        page = change_list.read_change_list(comparison, query)
        directories += [summary.directory for summary in page.directories]
        leaves += [change.path for change in page.changes]
        address = page.next_page

    assert directories == DIRECTORIES
    assert leaves == LEAVES


def test_tree_of_divergences() -> None:
    """The same holds in the matrix of a group."""
    group = StagedGroup(2)
    group.runs(
        [file("everywhere"), *(file(path, path.encode()) for path in PATHS)],
        [file("everywhere"), *(file(path, b"other " + path.encode()) for path in PATHS)],
    )
    comparison = group.compare()

    directories: list[str] = []
    leaves: list[str] = []
    address = "?view=tree"
    while address:
        query = DivergenceListQuery.read(QueryDict(address.removeprefix("?")))
        page = group_matrix.read_matrix(comparison, query)
        directories += [directory.summary.directory for directory in page.directories]
        leaves += [row.divergence.path for row in page.rows]
        address = page.next_page

    assert directories == DIRECTORIES
    assert leaves == LEAVES
