"""Choose the changes that findings of one kind may stand for, and fold them by directory.

The candidates lie in a table of the session that lasts as long as the transaction, so that statements that count, fold,
describe and take them need not choose them again. Each `select_*` function replaces the candidates of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from os.path import commonprefix
from typing import Any, NamedTuple

from django.db import connection

from checker.changes.kinds import CHANGED_WHILE_READ
from checker.models import Change, Comparison, Finding
from scanner.db.sql import fetch_all, load_statements
from scanner.format.entry_type import EntryType
from scanner.models import Run

statement = load_statements(__file__)

PREPARE = statement("prepare_candidates")
SELECT_CHANGES = statement("select_changes")
SELECT_UNREADABLE = statement("select_unreadable")
SELECT_ALTERED_RETURNS = statement("select_altered_returns")
TAKE_OVER_UNREADABLE = statement("take_over_unreadable")
SELECT_EARLY_REMOVALS = statement("select_early_removals")
SELECT_SILENT_RETURNS = statement("select_silent_returns")
SELECT_RELAPSES = statement("select_relapses")
SELECT_UNSTABLE = statement("select_unstable")
SELECT_BEHIND_MOUNTS = statement("select_behind_mounts")
COUNT_BY_MOUNT = statement("count_by_mount")
IS_MOUNT = statement("is_mount")
MEASURE = statement("measure_candidates")
FOLD = statement("fold_candidates")
DESCRIBE = statement("describe_candidates")
READ_FACTS = statement("read_facts")
TAKE = statement("take_candidates")
COUNT_HIDDEN_PATHS = statement("count_hidden_paths")

CALENDAR_NS = 631_152_000_000_000_000
"""1990: a modification time before it says nothing of a file's age."""


class Branch(NamedTuple):
    """Candidates that one finding stands for: one path, or all paths below a directory."""

    path: str
    """Of a directory with its slash; empty for the root."""
    folded: bool
    number: int
    """How many paths."""
    since: int | None = None
    """The earliest run from which on one of the paths has been as it is now; None where nobody asked."""


def select(insert: str, parameters: Mapping[str, Any]) -> int:
    """Replace the candidates by those that a statement inserts. Return how many there are."""
    with connection.cursor() as cursor:
        cursor.execute(PREPARE)
        cursor.execute(insert, parameters)
        selected = int(cursor.rowcount)

        # Without statistics the planner would read all changes to find those of a few candidates.
        if selected:
            cursor.execute("ANALYZE finding_candidate")
    return selected


def select_changes(comparison: Comparison, change: Change.Kind) -> int:
    """Select all changes of one kind."""
    return select(SELECT_CHANGES, {"comparison": comparison.pk, "change": change.value})


def select_unreadable(comparison: Comparison, medium_errors: Sequence[str], *, by_medium: bool) -> int:
    """Select what became unreadable by an error of the medium, or, with `by_medium` false, by any other error."""
    parameters = {
        "comparison": comparison.pk,
        "changed_while_read": CHANGED_WHILE_READ,
        "medium_errors": list(medium_errors),
        "by_medium": by_medium,
    }
    return select(SELECT_UNREADABLE, parameters)


def select_altered_returns(comparison: Comparison, medium_errors: Sequence[str]) -> int:
    """Select what the medium could not read, has an open finding of that, and was read again with other content."""
    parameters = {
        "comparison": comparison.pk,
        "replica": comparison.replica_id,
        "medium_errors": list(medium_errors),
        "error": EntryType.ERROR.value,
    }
    return select(SELECT_ALTERED_RETURNS, parameters)


def take_over_unreadable(comparison: Comparison) -> None:
    """Let open findings of unreadable paths that are candidates of damage go on as findings of damage."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_OVER_UNREADABLE, {"replica": comparison.replica_id})


def select_early_removals(comparison: Comparison, kept: datetime) -> int:
    """Select what was removed though it was modified, or first seen, after `kept`."""
    return select(SELECT_EARLY_REMOVALS, {"comparison": comparison.pk, **age_parameters(kept)})


def select_silent_returns(comparison: Comparison) -> int:
    """Select what holds an earlier content again although nobody wrote it."""
    base_run = str(comparison.base.uuid) if comparison.base else ""
    return select(SELECT_SILENT_RETURNS, {"comparison": comparison.pk, "base_run": base_run})


def select_relapses(comparison: Comparison) -> int:
    """Select what holds an earlier content again that was damage when it stood there."""
    return select(SELECT_RELAPSES, {"comparison": comparison.pk, "replica": comparison.replica_id})


def select_unstable(comparison: Comparison, since: int) -> int:
    """Select what has changed while it was read in every complete run from `since` on, and has no finding."""
    parameters = {
        "replica": comparison.replica_id,
        "sequence": comparison.run.sequence,
        "since": since,
        "changed_while_read": CHANGED_WHILE_READ,
        "error": EntryType.ERROR.value,
    }
    return select(SELECT_UNSTABLE, parameters)


def select_behind_mounts(comparison: Comparison) -> list[Branch]:
    """Select what became unknown because it lies behind a mount. Return a branch for each mount point."""
    parameters = {
        "comparison": comparison.pk,
        "replica": comparison.replica_id,
        "sequence": comparison.run.sequence,
        "special": EntryType.SPECIAL.value,
    }
    if not select(SELECT_BEHIND_MOUNTS, parameters):
        return []
    rows = fetch_all(COUNT_BY_MOUNT, parameters)
    return [Branch(directory, folded=True, number=paths) for directory, paths in rows]


def age_parameters(kept: datetime | None) -> dict[str, Any]:
    """Return the parameters of a statement that asks whether a path was removed before its age."""
    kept_ns = None if kept is None else int(kept.timestamp()) * 10**9
    return {"kept": kept, "kept_ns": kept_ns, "calendar_ns": CALENDAR_NS}


def fold(limit: int) -> list[Branch]:
    """Return the candidates as at most `limit` branches.

    Each branch lies directly below the directory that all candidates have in common. When there are too many branches,
    that directory is the only one.
    """
    ((total, first_path, last_path),) = fetch_all(MEASURE, {})
    if not total:
        return []

    # In the order of bytes, all candidates lie between these two, so that they share what these share.
    common = commonprefix([first_path, last_path])  # noqa: RUF071  # of text: cut at its last slash
    common = common[: common.rfind("/") + 1]
    # One branch more than the limit tells that there are too many.
    rows = fetch_all(FOLD, {"skip": len(common) + 1, "limit": limit + 1})

    # A candidate may be the common directory itself: it stands for all that lies below.
    if len(rows) > limit or rows[0][0] == common:
        known_runs = [since for _branch, _number, _path, since in rows if since is not None]
        return [Branch(common, folded=True, number=total, since=min(known_runs, default=None))]

    branches = []
    for branch, number, path, since in rows:
        if number > 1 or path.endswith("/"):
            branches.append(Branch(branch, folded=True, number=number, since=since))
        else:
            branches.append(Branch(path, folded=False, number=1, since=since))
    return branches


def describe(comparison: Comparison, usual_change: Change.Kind, paths: Sequence[str] | None = None) -> None:
    """Gather the evidence of candidates: of all, or of `paths`.

    A change of another kind than `usual_change` is named in the evidence.
    """
    parameters = {
        "comparison": comparison.pk,
        "base": comparison.base.sequence if comparison.base else None,
        "usual_change": usual_change.value,
        "paths": None if paths is None else list(paths),
    }
    with connection.cursor() as cursor:
        cursor.execute(DESCRIBE, parameters)


def read_facts(comparison: Comparison, usual_change: Change.Kind, paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Describe the candidates of a few paths. Return path → evidence."""
    describe(comparison, usual_change, paths)
    return dict(fetch_all(READ_FACTS, {"paths": list(paths)}))


def take(findings: Mapping[Branch, Finding]) -> None:
    """Make the changes of each branch its finding's own."""
    parameters: dict[str, Any] = {
        "paths": [branch.path for branch in findings],
        "folded": [branch.folded for branch in findings],
        "findings": [finding.pk for finding in findings.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(TAKE, parameters)


def count_hidden_paths(comparison: Comparison, directory: str) -> int:
    """Return how many paths below a directory became unknown. It ends with a slash; empty: the root."""
    parameters = {"comparison": comparison.pk, "directory": directory}
    return int(fetch_all(COUNT_HIDDEN_PATHS, parameters)[0][0])


def is_mount(run: Run, path: str) -> bool:
    """Return whether a path is a mount point that a run did not enter."""
    parameters = {
        "replica": run.replica_id,
        "sequence": run.sequence,
        "path": path,
        "special": EntryType.SPECIAL.value,
    }
    return bool(fetch_all(IS_MOUNT, parameters)[0][0])
