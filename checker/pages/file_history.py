"""The life of one path: on its replica over all runs, and what the other replicas of the group hold under it now."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from checker.changes import queries as changes
from checker.changes.queries import ChangeRow
from checker.models import Finding
from checker.pages import replica_facts
from scanner.db import entries
from scanner.db.entries import VersionRow
from scanner.format.entry_type import EntryType
from scanner.intervals import grace, next_run_due
from scanner.models import Replica, Run

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Chapter(NamedTuple):
    """A time in which a path did not change. Without an entry it was not there, or not to be seen."""

    entry: VersionRow | None
    begun: Run | None
    """The run that brought it; its row may be gone only when somebody removed it."""
    ended: Run | None
    change: ChangeRow | None
    """What the comparison of that run says."""
    letter: str
    """Of its content: the same letter is the same content, on every replica."""


class Copy(NamedTuple):
    """What another replica of the group holds under the path."""

    replica: Replica
    run: Run | None
    entry: VersionRow | None
    letter: str
    word: str
    """same, other, absent, unreadable, old or none."""


class Life(NamedTuple):
    """All that the page of a path shows."""

    chapters: list[Chapter]
    """The newest first."""
    copies: list[Copy]
    findings: list[Finding]


def tell(replica: Replica, path: str, now: datetime) -> Life | None:
    """The life of a path; None when neither this replica nor another one of its group ever had it."""
    versions = entries.list_versions(replica, path)
    letters: dict[object, str] = {}
    chapters = _chapters(replica, path, versions, letters)
    copies = [_copy(other, path, letters, _present(versions), now) for other in _others(replica)]
    if not versions and not any(copy.entry for copy in copies):
        return None
    told = Q(replica=replica) | Q(replica=None, group=replica.group_id)
    findings = Finding.objects.filter(told, path=path, folded=False).select_related("first_run")
    return Life(chapters[::-1], copies, list(findings.order_by("-pk")[:20]))


def _chapters(replica: Replica, path: str, versions: list[VersionRow], letters: dict[object, str]) -> list[Chapter]:
    numbers = {number for one in versions for number in (one.from_seq, one.until_seq) if number}
    runs = {run.sequence: run for run in Run.objects.filter(replica=replica, sequence__in=numbers).defer("envelope")}
    became = changes.read_path_changes(replica.pk, path)
    told: list[Chapter] = []
    for at, one in enumerate(versions):
        ended = runs.get(one.until_seq or 0)
        letter = _letter(one, letters)
        told.append(Chapter(one, runs.get(one.from_seq), ended, became.get(one.from_seq), letter))
        following = versions[at + 1].from_seq if at + 1 < len(versions) else None
        if one.until_seq is not None and one.until_seq != following:
            told.append(Chapter(None, ended, runs.get(following or 0), became.get(one.until_seq), ""))
    return told


def _letter(entry: VersionRow, letters: dict[object, str]) -> str:
    """The letter of a content; errors and what is no file or link have none."""
    if entry.type == EntryType.ERROR:
        return ""
    key = (entry.type, entry.sha256 if entry.type == EntryType.FILE else entry.detail)
    if key not in letters:
        at = len(letters)
        letters[key] = LETTERS[at] if at < len(LETTERS) else f"{LETTERS[at % 26]}{at // 26}"
    return letters[key]


def _present(versions: list[VersionRow]) -> VersionRow | None:
    return versions[-1] if versions and versions[-1].until_seq is None else None


def _others(replica: Replica) -> list[replica_facts.AnnotatedReplica]:
    return list(replica_facts.replicas_in_use().filter(group=replica.group_id).exclude(pk=replica.pk))


def _copy(
    other: replica_facts.AnnotatedReplica, path: str, letters: dict[object, str], mine: VersionRow | None, now: datetime
) -> Copy:
    run = Run.objects.filter(pk=other.complete_id).defer("envelope").first() if other.complete_id else None
    if run is None:
        return Copy(other, None, None, "", "none")
    entry = _present(entries.list_versions(other, path))
    expected = next_run_due(other, run)
    old = expected is not None and now - expected > grace(other.group.expected_interval)
    if entry is None:
        return Copy(other, run, None, "", "old" if old else "absent")
    letter = _letter(entry, letters)
    if entry.type == EntryType.ERROR:
        return Copy(other, run, entry, "", "unreadable")
    same = mine is not None and mine.type != EntryType.ERROR and _letter(mine, letters) == letter
    return Copy(other, run, entry, letter, "old" if old else "same" if same else "other")
