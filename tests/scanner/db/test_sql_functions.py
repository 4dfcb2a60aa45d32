"""SQL functions of the history: what they return, and that a call costs no more than its body."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from scanner.ingest import worker
from tests.scanner.factories import accept, file_row, make_key, make_replica

pytestmark = pytest.mark.django_db(transaction=True)


def read_column(statement: str, parameters: list[Any]) -> list[Any]:
    """Return the first column."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]


def test_a_state_holds_what_had_not_ended_by_its_run() -> None:
    """Each run of a replica has its own entries."""
    replica = make_replica()
    signer = make_key(replica.server)
    accept(replica, signer, [file_row("both"), file_row("first")])
    accept(replica, signer, [file_row("both"), file_row("second")])
    worker.ingest_replica(replica.pk)

    statement = "SELECT path FROM state_at(%s, %s) ORDER BY path"
    assert read_column(statement, [replica.pk, 1]) == ["both", "first"]
    assert read_column(statement, [replica.pk, 2]) == ["both", "second"]
    assert read_column(statement, [replica.pk + 1, 2]) == []


@pytest.mark.parametrize(
    ("path", "directory", "expected"),
    [
        ("a/b", "a/", True),
        ("a/b/c", "a/", True),
        ("a", "", True),
        ("\U0010ffff" * 600, "", True),
        ("a/" * 400 + "b", "a/" * 400, True),
        ("a/", "a/", False),
        ("a0", "a/", False),
        ("ab/c", "a/", False),
        ("a/" * 400 + "b", "a/" * 399 + "b/", False),
    ],
)
def test_below_a_directory(path: str, directory: str, expected: bool) -> None:
    """A path lies below each directory above it, and below the root; a directory does not lie below itself."""
    assert read_column("SELECT is_below(%s, %s)", [path, directory]) == [expected]


@pytest.mark.parametrize(
    ("path", "directory", "name"), [("a", "", "a"), ("a/b", "a/", "b"), ("a/b/c", "a/b/", "c"), ("a/é", "a/", "é")]
)
def test_directory_and_name_make_the_path(path: str, directory: str, name: str) -> None:
    """Both parts together are the path."""
    assert read_column("SELECT directory_of(%s)", [path]) == [directory]
    assert read_column("SELECT name_of(%s)", [path]) == [name]


def test_the_directory_at_a_depth() -> None:
    """Depth 0 is the root; each further one adds a part."""
    statement = "SELECT directory_at_depth(ARRAY['a', 'b'], depth) FROM generate_series(0, 2) AS depth ORDER BY depth"
    assert read_column(statement, []) == ["", "a/", "a/b/"]


def test_calls_are_replaced_by_their_bodies() -> None:
    """No plan calls a function, and what the index on the beginnings of paths serves is a condition of its own."""
    statement = """
        EXPLAIN SELECT directory_of(entry.path), name_of(entry.path),
            directory_at_depth(string_to_array(entry.path, '/'), 1)
        FROM scanner_run AS run CROSS JOIN LATERAL (
            SELECT path FROM state_at(run.replica_id, run.sequence) AS version
            WHERE is_below(version.path, run.reason) OFFSET 0) AS entry
    """
    plan = "\n".join(read_column(statement, []))
    for name in ("state_at", "is_below", "directory_of", "name_of", "directory_at_depth"):
        assert name not in plan
    assert '("left"(path, 512) >= "left"(run.reason, 512))' in plan
