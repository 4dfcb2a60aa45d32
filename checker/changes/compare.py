"""Compare two complete runs of a replica: find the paths that differ, and give each its kind of change.

All work is done in sets, from the versions that began or ended between the runs. It goes through temporary tables of
the session, so that each step can be shown while the next one runs; `store` writes what is kept.

The tables are, in the order of their filling: `difference` (paths that differ), `unseen` (directories that a run
could not look into), `run_note` (notes of the runs in between) and `found_change` (the changes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from checker.changes.kinds import CHANGED_WHILE_READ, EMPTY_SHA256, MEDIUM_ERRORS, kind_expression
from checker.changes.statements import ENTRY_TYPES, statement
from checker.models import Comparison
from scanner.format import paths
from scanner.format.excludes import Excludes

STEPS = ("differing", "hidden", "scope", "judging", "moves", "keeping")
"""What a comparison goes through, in this order. The last step is that of whoever stores what was found."""
MOVE_KEYS = ("name", "directory", "content")
"""By what a removed and an added path with the same content are paired: the first pairs go by name."""
ALTERED_KEYS = ("note", "directory", "time")
"""By what a removed and an added path with different content, and the same size and time, are paired."""
BATCH = 4096


@dataclass(frozen=True)
class RunScope:
    """The part of its tree that a run was told to read."""

    excludes: Excludes
    cross_mounts: bool
    """Whether it enters mount points."""


ScopesOfRuns = Callable[[], tuple[RunScope, RunScope] | None]
"""Give the scopes of the earlier and of the later run, when both are known and differ."""

DROP_TABLES = "DROP TABLE IF EXISTS difference, unseen, run_note, found_change"
HAS_UNSEEN = "SELECT EXISTS (SELECT FROM unseen WHERE runs @> %(sequence)s::int)"
GONE_PATHS = """
SELECT path, coalesce(old_type = %(error)s AND old_stage IN ('list', 'stat'), false) AS is_directory
FROM difference
WHERE new_id IS NULL AND NOT hidden_now
"""
MARK_OUT_OF_SCOPE = "UPDATE difference SET out_of_scope = true WHERE new_id IS NULL AND path = ANY(%(paths)s)"


def find_changes(comparison: Comparison, scopes_of_runs: ScopesOfRuns, report_step: Callable[[str], None]) -> None:
    """Fill the temporary tables with the changes of a comparison. Report each of STEPS when it begins, but the last."""
    parameters = _parameters(comparison)
    is_first_run = comparison.base is None

    with connection.cursor() as cursor:
        cursor.execute(DROP_TABLES)

        report_step("differing")
        differing = statement("find_first_errors" if is_first_run else "find_differing")
        cursor.execute(statement("create_differences", differing=differing), parameters)

        report_step("hidden")
        cursor.execute(statement("create_unseen"), parameters)
        if not is_first_run:
            _find_hidden(cursor, parameters)
        cursor.execute(statement("find_last_read"), parameters)
        cursor.execute(statement("drop_unchanged"), parameters)
        cursor.execute(statement("drop_unread_as_before"), parameters)
        cursor.execute(statement("mark_entries_below"), parameters)

        report_step("scope")
        scopes = scopes_of_runs()
        if scopes is not None:
            _find_out_of_scope(cursor, parameters, *scopes)

        report_step("judging")
        cursor.execute(statement("create_notes"), parameters)
        cursor.execute(statement("create_changes", kind=kind_expression()), parameters)

        report_step("moves")
        # The best reason first: what one key has paired, the next one leaves alone.
        for key in MOVE_KEYS:
            cursor.execute(statement("pair_moved"), parameters | {"key": key})
        # Only after the moves: what they leave unpaired, beside files that moved together, changed on its way.
        for key in ALTERED_KEYS:
            cursor.execute(statement("pair_altered"), parameters | {"key": key})


def drop_tables() -> None:
    """Drop the temporary tables."""
    with connection.cursor() as cursor:
        cursor.execute(DROP_TABLES)


def _parameters(comparison: Comparison) -> dict[str, Any]:
    return ENTRY_TYPES | {
        "replica": comparison.replica_id,
        "base": comparison.base.sequence if comparison.base else 0,
        "run": comparison.run.sequence,
        "changed_while_read": CHANGED_WHILE_READ,
        "empty_sha256": EMPTY_SHA256,
        "medium_errors": list(MEDIUM_ERRORS),
    }


def _find_hidden(cursor: Any, parameters: dict[str, Any]) -> None:
    """Mark what lies in directories that a run could not look into. Most runs have none, and asking costs little."""
    hides_before = _has_unseen(cursor, parameters["base"])
    hides_now = _has_unseen(cursor, parameters["run"])

    if hides_before:
        cursor.execute(statement("hide_before"), parameters)
    if hides_now:
        cursor.execute(statement("hide_now"), parameters)
    # Only after `hide_now`: what is added here has neither version, and its flags are known.
    if hides_before:
        cursor.execute(statement("add_gone_unseen"), parameters)


def _has_unseen(cursor: Any, sequence: int) -> bool:
    cursor.execute(HAS_UNSEEN, {"sequence": sequence})
    return bool(cursor.fetchone()[0])


def _find_out_of_scope(cursor: Any, parameters: dict[str, Any], old: RunScope, new: RunScope) -> None:
    """Mark what is gone because the later run left it out and the earlier one did not."""
    cursor.execute(GONE_PATHS, parameters)
    for rows in _batches(cursor):
        excluded = [
            path
            for path, is_directory in rows
            if _is_excluded(new.excludes, path, is_directory) and not _is_excluded(old.excludes, path, is_directory)
        ]
        if not excluded:
            continue

        # The rows are still being fetched from the other cursor.
        with connection.cursor() as writing:
            writing.execute(MARK_OUT_OF_SCOPE, {"paths": excluded})

    # Otherwise a mount came that nobody asked for: what lies behind it is unknown.
    if old.cross_mounts and not new.cross_mounts:
        cursor.execute(statement("mark_behind_mounts"), parameters)


def _batches(cursor: Any) -> Iterator[list[tuple[str, bool]]]:
    while rows := cursor.fetchmany(BATCH):
        yield rows


def _is_excluded(excludes: Excludes, path: str, is_directory: bool) -> bool:
    return excludes.matches(paths.decode(path), is_dir=is_directory)
