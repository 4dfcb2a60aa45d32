"""Read the history of one path on a replica, and what the other replicas of the group hold under it now."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from django.db.models import Q

from checker.changes import queries as change_queries
from checker.changes.queries import ChangeRow
from checker.models import Finding
from checker.pages import replica_facts
from checker.pages.replica_facts import replicas_in_use
from scanner.db import entries
from scanner.db.entries import VersionRow
from scanner.format.entry_type import EntryType
from scanner.intervals import grace, next_run_due
from scanner.models import Replica, Run

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_FINDINGS = 20


class CopyState(StrEnum):
    """Knowledge of another replica's copy of a path."""

    SAME = "same"
    DIFFERENT = "different"
    PRESENT = "present"
    """It has content, and this replica has none to compare it with: the path is absent or unreadable here."""
    ABSENT = "absent"
    UNREADABLE = "unreadable"
    STALE = "stale"
    """The replica's last run is too old."""
    NO_RUN = "no_run"


class Period(NamedTuple):
    """A time in which a path did not change. Without an entry the path was absent or not visible."""

    entry: VersionRow | None
    begin_run: Run | None
    """The run that brought it; None when somebody removed the run's row."""
    end_run: Run | None
    change: ChangeRow | None
    """The change that the comparison of `begin_run` holds for the path."""
    letter: str
    """Names its content: the same letter is the same content, on every replica."""


class Copy(NamedTuple):
    """Copy of the path on another replica of the group."""

    replica: Replica
    run: Run | None
    entry: VersionRow | None
    letter: str
    state: CopyState


class FileHistory(NamedTuple):
    """Everything that the page of a path shows."""

    periods: list[Period]
    """Newest first."""
    copies: list[Copy]
    findings: list[Finding]
    run_numbers: dict[str, int]
    """Numbers of the runs that the notes of the changes name, by UUID."""


class ContentLetters:
    """Letters for contents, in the order in which the contents were first met."""

    def __init__(self) -> None:
        """Begin with A."""
        self._letters: dict[tuple[int, bytes | str | None], str] = {}

    def letter(self, entry: VersionRow) -> str:
        """Return the letter of an entry's content; empty for an error, whose content nobody knows."""
        if entry.type == EntryType.ERROR:
            return ""

        # A file is its bytes; a link is its target; a special file is its kind.
        content = (entry.type, entry.sha256 if entry.type == EntryType.FILE else entry.detail)
        if content not in self._letters:
            self._letters[content] = self._next_letter()
        return self._letters[content]

    def _next_letter(self) -> str:
        round_number, index = divmod(len(self._letters), len(LETTERS))
        if round_number == 0:
            return LETTERS[index]
        return f"{LETTERS[index]}{round_number}"


def read_file_history(replica: Replica, path: str, now: datetime) -> FileHistory | None:
    """Return the history of a path; None when no replica of the group ever had it."""
    versions = entries.list_versions(replica, path)
    # The history of this replica is lettered first, so that its oldest content is A.
    letters = ContentLetters()
    periods = _periods(replica, path, versions, letters)

    present = _present_version(versions)
    others = replicas_in_use().filter(group=replica.group_id).exclude(pk=replica.pk)
    copies = [_copy(other, path, letters, present, now) for other in others]

    # A replica that never had the path may still be asked about what the others have.
    if not versions and not any(copy.entry for copy in copies):
        return None
    changes = [period.change for period in periods if period.change]
    run_numbers = change_queries.compared_run_numbers(replica.pk, changes)
    return FileHistory(periods[::-1], copies, _findings(replica, path), run_numbers)


def _periods(replica: Replica, path: str, versions: list[VersionRow], letters: ContentLetters) -> list[Period]:
    """Return the periods of a path, oldest first, with those in which it was absent."""
    runs = _runs_of(replica, versions)
    changes = change_queries.read_path_changes(replica.pk, path)

    periods = []
    for position, version in enumerate(versions):
        end_run = runs.get(version.until_seq or 0)
        begin_run = runs.get(version.from_seq)
        change = changes.get(version.from_seq)
        periods.append(Period(version, begin_run, end_run, change, letters.letter(version)))

        # Where the next version does not begin at once, the path was absent in between.
        next_from = None
        if position + 1 < len(versions):
            next_from = versions[position + 1].from_seq
        if version.until_seq is not None and version.until_seq != next_from:
            next_run = runs.get(next_from or 0)
            periods.append(Period(None, end_run, next_run, changes.get(version.until_seq), ""))
    return periods


def _runs_of(replica: Replica, versions: list[VersionRow]) -> dict[int, Run]:
    """Return the runs in which versions begin or end, by number."""
    numbers = {number for version in versions for number in (version.from_seq, version.until_seq) if number}
    runs = Run.objects.filter(replica=replica, sequence__in=numbers).defer("envelope")
    return {run.sequence: run for run in runs}


def _present_version(versions: list[VersionRow]) -> VersionRow | None:
    if versions and versions[-1].until_seq is None:
        return versions[-1]
    return None


def _copy(
    other: replica_facts.AnnotatedReplica, path: str, letters: ContentLetters, mine: VersionRow | None, now: datetime
) -> Copy:
    """Return what another replica holds, compared with the version that this replica holds now."""
    run = None
    if other.complete_id:
        run = Run.objects.filter(pk=other.complete_id).defer("envelope").first()
    if run is None:
        return Copy(other, None, None, "", CopyState.NO_RUN)

    entry = _present_version(entries.list_versions(other, path))
    is_stale = _is_stale(other, run, now)

    if entry is None:
        return Copy(other, run, None, "", CopyState.STALE if is_stale else CopyState.ABSENT)

    letter = letters.letter(entry)
    # What could not be read has no content to compare, however new or old the run is.
    if entry.type == EntryType.ERROR:
        return Copy(other, run, entry, "", CopyState.UNREADABLE)
    if is_stale:
        return Copy(other, run, entry, letter, CopyState.STALE)
    if mine is None or mine.type == EntryType.ERROR:
        return Copy(other, run, entry, letter, CopyState.PRESENT)
    if letters.letter(mine) == letter:
        return Copy(other, run, entry, letter, CopyState.SAME)
    return Copy(other, run, entry, letter, CopyState.DIFFERENT)


def _is_stale(replica: Replica, run: Run, now: datetime) -> bool:
    expected = next_run_due(replica, run)
    return expected is not None and now - expected > grace(replica.group.expected_interval)


def _findings(replica: Replica, path: str) -> list[Finding]:
    """Return the newest findings about a path, of this replica and between the replicas of its group."""
    of_replica_or_group = Q(replica=replica) | Q(replica=None, group=replica.group_id)
    findings = Finding.objects.filter(of_replica_or_group, path=path, folded=False).select_related("first_run")
    return list(findings.order_by("-pk")[:MAX_FINDINGS])
