"""Find the directories of which some replicas have nothing, while all others have the same.

A replica that is empty, or that lost a share, lacks each of a million paths in the same way. One row stands for them
all (`diverging_absence`), and `diverging` leaves them out. The paths themselves stand in the history of the replicas
that have them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Any

from django.db import connection

from checker.divergences import compare
from checker.divergences.attribution import Attribution, PreviousComparison, attribute_directories
from checker.divergences.compare import (
    ComparedReplica,
    MissingDirectory,
    numbered_state_parameters,
    state_parameters,
)
from checker.divergences.moves import EMPTY_FILE, folded
from checker.divergences.statements import statement
from checker.models import Branch
from scanner.db.sql import fetch_all, fetch_batches

LEAST = 1000
"""A directory with fewer paths has a row for each of them, which is quickly written."""
MOST = 200
"""The number of missing directories, largest first. What lies below others has a row for each path."""
MOST_OWN = 100_000
"""Where more paths than these have rows of their own, all have: a hash of more does not fit into memory."""

CREATE_OWN = 'CREATE TEMPORARY TABLE diverging_own (path text COLLATE "C")'
COUNT_OWN = "SELECT count(*) FROM diverging_own"
DROP_TABLES = """
DROP TABLE IF EXISTS diverging_held, diverging_presence, diverging_own, diverging_extra, diverging_absence,
    diverging_directory
"""
STATE = """
SELECT {position} AS position, path, (type = %(error)s OR type = %(special)s AND detail = 'mount') AS blind
FROM state_at(%(replica{position})s, %(sequence{position})s)
"""
FIRST_RUN_SINCE = """
SELECT coalesce(max(sequence), 0) + 1 FROM scanner_run WHERE replica_id = %(replica)s AND ingested_at <= %(moment)s
"""

Attributions = dict[MissingDirectory, Attribution]


def find_diverging(
    replicas: Sequence[ComparedReplica],
    certain: Collection[int],
    previous: PreviousComparison,
    *,
    equal: bool,
    recent_from: tuple[int, int] | None = None,
) -> None:
    """Fill `diverging` and the tables of missing directories.

    At the positions in `certain` all that is missing is lost, whatever its name, unless it began at the position and
    with the sequence of `recent_from`, or later. `equal` is that of `compare.find_diverging`.
    """
    with connection.cursor() as cursor:
        cursor.execute(DROP_TABLES)
        cursor.execute(CREATE_OWN)

    attributions: Attributions = {}
    if not equal:
        candidates = _find_candidates(replicas, certain, previous, recent_from)
        attributions = _leave_own_rows(previous, candidates)

    # Only what diverges otherwise shows whether something of a missing directory is elsewhere. If so, its paths are
    # told one by one, which takes a second pass.
    compare.find_diverging(replicas, equal=equal, missing=attributions)
    crossed = set(_find_crossed(replicas, list(attributions)))
    if crossed:
        attributions = {
            missing: attribution for missing, attribution in attributions.items() if missing.directory not in crossed
        }
        compare.find_diverging(replicas, equal=equal, missing=attributions)

    # Nobody lacks what only replicas on hold have.
    expected = {missing: by for missing, by in attributions.items() if not _is_on_hold(replicas, missing)}
    _keep(replicas, expected)


def drop_tables() -> None:
    """Drop the temporary tables, and take back the session's settings."""
    compare.drop_tables()
    with connection.cursor() as cursor:
        cursor.execute(DROP_TABLES)


def _find_candidates(
    replicas: Sequence[ComparedReplica],
    certain: Collection[int],
    previous: PreviousComparison,
    recent_from: tuple[int, int] | None,
) -> Attributions:
    """Return missing directories of which all is known, and between which nothing can have moved."""
    entries = [replica.entries for replica in replicas]
    # A replica that lacks a large directory has fewer entries: mostly this spares counting at all.
    if max(entries) - min(entries) < LEAST:
        return {}

    states = " UNION ALL ".join(STATE.format(position=replica.position) for replica in replicas)
    with connection.cursor() as cursor:
        cursor.execute(statement("count_held", states=states), numbered_state_parameters(replicas))
        cursor.execute(statement("find_presence"), {"deepest": Branch.DEPTH})

    attributions = _find_attributable(replicas, previous)
    lackings = {missing.lacking for missing in attributions}
    unseen = _find_unseen(replicas, [missing.directory for missing in attributions])

    candidates: Attributions = {}
    for missing, attribution in attributions.items():
        if not missing.lacking <= set(certain):
            continue
        # Where another directory is missing crosswise, paths may have moved from one to the other.
        if any(missing.lacking - other and other - missing.lacking for other in lackings):
            continue
        if any((missing.directory, position) in unseen for position in missing.lacking):
            continue

        candidates[_with_exceptions(replicas, missing, attribution, recent_from)] = attribution
    return candidates


def _find_attributable(replicas: Sequence[ComparedReplica], previous: PreviousComparison) -> Attributions:
    """Return the topmost directories that some participant lacks and whose paths belonged to the same.

    A directory whose paths belonged to several findings is split: its subdirectories are looked at instead.
    """
    positions = frozenset(replica.position for replica in replicas)
    attributions: dict[str, Attribution] = {}
    split: list[str] = []

    while True:
        parameters: dict[str, Any] = {
            "participants": len(replicas),
            "least": LEAST,
            "most": MOST,
            "split": split,
        }
        topmost = []
        for directory, present in fetch_all(statement("topmost_missing"), parameters):
            topmost.append(MissingDirectory(directory, positions - {*present}))

        fresh = [missing for missing in topmost if missing.directory not in attributions]
        marks = {missing.directory: _mark(_holders(replicas, missing)) for missing in fresh}
        attributions |= attribute_directories(previous, replicas, fresh, marks)

        mixed = [missing.directory for missing in fresh if missing.directory not in attributions]
        if not mixed:
            return {missing: attributions[missing.directory] for missing in topmost}
        split += mixed


def _find_unseen(replicas: Sequence[ComparedReplica], directories: list[str]) -> set[tuple[str, int]]:
    """Return those of the directories into which a participant could not look, each with its position."""
    unseen = set()
    for replica in replicas:
        parameters = state_parameters(replica) | {"directories": directories}
        for (directory,) in fetch_all(statement("unseen_directories"), parameters):
            unseen.add((directory, replica.position))
    return unseen


def _with_exceptions(
    replicas: Sequence[ComparedReplica],
    missing: MissingDirectory,
    attribution: Attribution,
    recent_from: tuple[int, int] | None,
) -> MissingDirectory:
    """Return the directory without what it must not stand for: recent paths, and what came after its acceptance."""
    first_recent: dict[int, int] = {}
    if recent_from is not None:
        position, sequence = recent_from
        first_recent[position] = sequence
    if attribution.accepted_at is not None:
        holder = _holders(replicas, missing)[0]
        parameters: dict[str, Any] = {"replica": holder.replica_id, "moment": attribution.accepted_at}
        ((sequence,),) = fetch_all(FIRST_RUN_SINCE, parameters)
        first_recent[holder.position] = min(sequence, first_recent.get(holder.position, sequence))
    return missing._replace(recent_from=tuple(first_recent.items()), keeps_own_rows=attribution.was_missing)


def _leave_own_rows(previous: PreviousComparison, attributions: Attributions) -> Attributions:
    """Fill `diverging_own` with the paths that had rows of their own in what was a missing directory before.

    Return the directories that can still stand for the rest.
    """
    directories = [missing.directory for missing in attributions if missing.keeps_own_rows]
    if not directories:
        return attributions

    parameters: dict[str, Any] = {"comparison": previous.comparison_id, "directories": directories}
    with connection.cursor() as cursor:
        cursor.execute(statement("fill_own_rows"), parameters)
    ((number,),) = fetch_all(COUNT_OWN, {})

    if number > MOST_OWN:
        return {missing: by for missing, by in attributions.items() if not missing.keeps_own_rows}
    if number == 0:
        return {missing._replace(keeps_own_rows=False): by for missing, by in attributions.items()}
    return attributions


def _find_crossed(replicas: Sequence[ComparedReplica], directories: Sequence[MissingDirectory]) -> Iterator[str]:
    """Yield directories of which something may be on a replica that lacks them: moved, or spelled otherwise."""
    directories_by_lacking: dict[frozenset[int], list[str]] = {}
    for missing in directories:
        directories_by_lacking.setdefault(missing.lacking, []).append(missing.directory)

    for lacking, paths in directories_by_lacking.items():
        holders = [replica for replica in replicas if replica.position not in lacking]
        parameters: dict[str, Any] = state_parameters(holders[0]) | {
            "lacking": sorted(lacking),
            "holding": [replica.position for replica in holders],
            "directories": paths,
            "empty_file": EMPTY_FILE,
        }
        ((has_extra,),) = fetch_all(statement("has_extra"), parameters)
        if has_extra:
            yield from _find_moved(parameters)
            yield from _find_spelled_alike(paths, parameters)


def _find_moved(parameters: dict[str, Any]) -> Iterator[str]:
    """Yield the directories that hold a content which a replica without them has under another name."""
    with connection.cursor() as cursor:
        cursor.execute(statement("find_extra_contents"), parameters)
    for (directory,) in fetch_all(statement("directories_with_extra_contents"), parameters):
        yield directory


def _find_spelled_alike(directories: Sequence[str], parameters: dict[str, Any]) -> Iterator[str]:
    """Yield the directories that a replica without them may have under a name that is almost alike."""
    names = {directory: folded(directory) for directory in directories}
    for rows in fetch_batches(statement("extra_paths"), parameters):
        extra_names = {folded(path) for (path,) in rows}
        near = [name for name in extra_names if name.startswith(tuple(names.values()))]
        for directory, name in names.items():
            if any(extra.startswith(name) for extra in near):
                yield directory


def _keep(replicas: Sequence[ComparedReplica], attributions: Mapping[MissingDirectory, Attribution]) -> None:
    """Write the missing directories, in the order of their paths, and count what lies in them."""
    # `count_missing` looks directories up in this order.
    directories = sorted(attributions, key=lambda missing: missing.directory)
    first_holders = [_holders(replicas, missing)[0] for missing in directories]
    parameters: dict[str, Any] = {
        "directories": [missing.directory for missing in directories],
        "cells": [_cells(replicas, missing) for missing in directories],
        "marks": [_mark(_holders(replicas, missing)) for missing in directories],
        "currents": [_is_current(replicas, missing) for missing in directories],
        "positions": [holder.position for holder in first_holders],
        "runs": [holder.run_id for holder in first_holders],
        "findings": [attributions[missing].finding_id for missing in directories],
        "sinces": [attributions[missing].since for missing in directories],
    }

    with connection.cursor() as cursor:
        cursor.execute(statement("create_missing_tables"))
        if directories:
            cursor.execute(statement("keep_missing"), parameters)
            cursor.execute(statement("count_missing"), parameters)


def _holders(replicas: Sequence[ComparedReplica], missing: MissingDirectory) -> list[ComparedReplica]:
    return [replica for replica in replicas if replica.position not in missing.lacking]


def _is_on_hold(replicas: Sequence[ComparedReplica], missing: MissingDirectory) -> bool:
    """Return whether all participants that have a directory are on hold."""
    return all(holder.on_hold for holder in _holders(replicas, missing))


def _cells(replicas: Sequence[ComparedReplica], missing: MissingDirectory) -> str:
    return "".join("-" if replica.position in missing.lacking else "+" for replica in replicas)


def _mark(holders: Sequence[ComparedReplica]) -> bytes:
    """Return a digest of who holds a directory: while they stay, it is the same, whatever comes and goes in it."""
    return reduce(xor, (holder.identity for holder in holders)).to_bytes(8, "big", signed=True) * 2


def _is_current(replicas: Sequence[ComparedReplica], missing: MissingDirectory) -> bool:
    """Return whether the participants with a vote differ among themselves."""
    return len({replica.position in missing.lacking for replica in replicas if replica.has_vote}) > 1
