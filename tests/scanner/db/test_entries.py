"""Pages of entries: filters are literal, orders are total, and the tree knows every name."""

from __future__ import annotations

import pytest

from scanner.db import entries, report_lines
from scanner.db.entries import EntryFilter, VersionRow
from scanner.db.keyset import Page
from scanner.format.entry_type import EntryType
from scanner.format.records import Note, Record
from scanner.ingest import worker
from scanner.models import Run
from tests.scanner.factories import accept, error_row, file_row, link_row, make_key, make_replica

pytestmark = pytest.mark.django_db(transaction=True)

RECORDS: list[Record] = [
    file_row("100%_sure", size=5),
    file_row("100x_sure", size=7),
    file_row("a/b/deep", size=1),
    file_row("a/c", size=9),
    file_row("a!", size=9),
    link_row("a0", "a/c"),
    error_row("back\\\\slash/x"),
    file_row("é/ü", size=0),
    file_row("\U0010ffff/x", size=2),
    *(Note(f"n{number}", "misread") for number in range(5)),
]


@pytest.fixture
def run() -> Run:
    """A run with these records, and one after it that has nothing."""
    replica = make_replica()
    signer = make_key(replica.server)
    run = accept(replica, signer, RECORDS)
    accept(replica, signer, [])
    worker.ingest_replica(replica.pk)
    run.refresh_from_db()
    return run


def paths(page: Page[VersionRow]) -> list[str]:
    """Paths of a page."""
    return [row.path for row in page.rows]


def test_a_search_is_literal(run: Run) -> None:
    """Percent, underscore and backslash are characters like any other."""
    assert paths(entries.list_entries(run, EntryFilter(search="100%_"))) == ["100%_sure"]
    assert paths(entries.list_entries(run, EntryFilter(search="0x_s"))) == ["100x_sure"]
    assert paths(entries.list_entries(run, EntryFilter(search="\\\\"))) == ["back\\\\slash/x"]
    assert paths(entries.list_entries(run, EntryFilter(search="'; DROP"))) == []


def test_a_prefix_bounds_both_ends(run: Run) -> None:
    """Only what begins with the prefix, whatever its last character is."""
    assert paths(entries.list_entries(run, EntryFilter(prefix="a/"))) == ["a/b/deep", "a/c"]
    assert paths(entries.list_entries(run, EntryFilter(prefix="a/"), order="-size")) == ["a/c", "a/b/deep"]
    assert paths(entries.list_entries(run, EntryFilter(prefix="\U0010ffff"))) == ["\U0010ffff/x"]
    assert paths(entries.list_entries(run, EntryFilter(prefix="é/"))) == ["é/ü"]


def test_a_type_is_listed_alone(run: Run) -> None:
    """Files, errors, links: each by itself, in the wanted order."""
    assert paths(entries.list_entries(run, EntryFilter(type=EntryType.ERROR))) == ["back\\\\slash/x"]
    assert paths(entries.list_entries(run, EntryFilter(type=EntryType.LINK), order="-size")) == ["a0"]
    assert paths(entries.list_entries(run, EntryFilter(type=EntryType.FILE), order="-size"))[:3] == [
        "a!",
        "a/c",
        "100x_sure",
    ]


def test_the_tree_shows_names_once(run: Run) -> None:
    """A directory stands once, between its neighbours in the order of bytes; what is below it is its own page."""
    top = entries.list_children(run)
    assert [(child.path, child.entry is None) for child in top.rows] == [
        ("100%_sure", False),
        ("100x_sure", False),
        ("a!", False),
        ("a/", True),
        ("a0", False),
        ("back\\\\slash/", True),
        ("é/", True),
        ("\U0010ffff/", True),
    ]
    assert [child.name for child in entries.list_children(run, "a/").rows] == ["b", "c"]
    assert entries.list_children(run, "nowhere/").rows == []


def test_notes_come_by_pages(run: Run) -> None:
    """All notes, in the order of the report."""
    first = entries.list_notes(run, limit=3)
    rest = entries.list_notes(run, first.after, limit=3)
    assert [row.path for row in first.rows + rest.rows] == [f"n{number}" for number in range(5)]
    assert rest.after == ""


def test_an_empty_state_has_empty_pages(run: Run) -> None:
    """A run without entries has no rows and nothing to ask for next."""
    after = Run.objects.get(replica=run.replica_id, sequence=2)
    assert entries.list_entries(after) == Page([], "")
    assert entries.list_children(after) == Page([], "")
    assert list(report_lines.record_lines(after)) == []


def test_reading_half_does_no_harm(run: Run) -> None:
    """Who stops reading lines early can go on asking, also within a transaction."""
    from django.db import transaction

    with transaction.atomic():
        lines = report_lines.record_lines(run)
        assert next(lines)
        lines.close()  # type: ignore[attr-defined]  # it is a generator, which its type does not say
        assert len(list(report_lines.record_lines(run))) == len(RECORDS)
