"""The page of one path, over real runs."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from tests.checker.staged_replica import StagedReplica, file
from tests.checker.views.pages import get
from tests.checker.views.staged_history import HOSTILE, staged_history
from tests.scanner import factories

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_history_of_a_path(viewer: Client) -> None:
    """The page shows each period of a path, and what the other replicas of the group hold under it now."""
    replica = staged_history()
    other = StagedReplica()
    other.replica = factories.make_replica(group=replica.replica.group, root="/other")
    other.signer = factories.make_key(other.replica.server)
    other.run([file("d/sub/a")])
    other.compare()

    address = reverse("file", args=[replica.replica.uuid])
    page = get(viewer, address + "?path=d/sub/a")
    assert re.findall(r'<span class="letter">(\w)', page) == ["B", "A", "A"] and "different content" in page
    assert "change-corrupted" in page and "reason muted" in page
    assert "compared with run 1<" in page
    page_of_moved_file = get(viewer, address + "?path=d/old")
    assert "not present" in page_of_moved_file and "e/old" in page_of_moved_file


def test_a_copy_elsewhere_is_not_compared_with_nothing(viewer: Client) -> None:
    """A replica that has a path is said to have it, not to differ, when this replica has none."""
    replica = staged_history()
    other = StagedReplica()
    other.replica = factories.make_replica(group=replica.replica.group, root="/other")
    other.signer = factories.make_key(other.replica.server)
    other.run([file("only/there")])
    other.compare()

    address = reverse("file", args=[replica.replica.uuid])
    page = get(viewer, address + "?path=only/there")
    assert re.search(r'<span class="letter">A</span>\s+present\s', page)
    assert "different content" not in page


def test_a_path_that_never_existed(viewer: Client) -> None:
    """An unknown path is not found, and the page says that no replica of the group ever had it."""
    replica = staged_history()
    address = reverse("file", args=[replica.replica.uuid])
    assert "or of the other replicas of its group" in get(viewer, address + "?path=never", 404)
    get(viewer, address, 404)


def test_a_hostile_path_is_shown_and_not_obeyed(viewer: Client) -> None:
    """The name of a path acts on nothing."""
    replica = staged_history()
    address = reverse("file", args=[replica.replica.uuid])
    assert "<script>alert" not in get(viewer, address + "?path=" + HOSTILE.replace("\n", "%0A"))


def test_nobody_sees_a_path_without_a_login() -> None:
    """Strangers are sent to the login."""
    replica = staged_history()
    response = Client().get(reverse("file", args=[replica.replica.uuid]) + "?path=top")
    assert response.status_code == 302 and "/login/" in response["Location"]
