"""By which finding, and since when, what lies in a directory was told when it was no absence yet.

An absence belongs to one finding, as a path does. So a directory becomes one only when its paths were alike in this:
all of them told by one finding, or none by any. Else each path goes on in a row of its own. So does, in an absence that
was accepted, what came later: nobody has accepted that.
"""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from checker.divergences.compare import Absence, ComparedReplica, place_of
from checker.divergences.within import below
from checker.models import Finding
from scanner.db.sql import fetch_all


class Before(NamedTuple):
    """What a comparison has said until now."""

    comparison_id: int
    places: Mapping[int, int]
    """By replica its position then."""

    def everyone(self, sides: Collection[ComparedReplica]) -> list[int]:
        """Who takes part, or took part."""
        return sorted({*self.places, *(side.replica_id for side in sides)})

    def holding(self, row: str, sides: Collection[ComparedReplica]) -> str:
        """SQL: who of `everyone` holds the path of a new row, a character each."""
        return holders(row, self.everyone(sides), {side.replica_id: side.position for side in sides})

    def held(self, row: str, sides: Collection[ComparedReplica]) -> str:
        """SQL: who held the path of an old row, likewise."""
        return holders(row, self.everyone(sides), self.places)


def holders(row: str, replicas: Sequence[int], places: Mapping[int, int]) -> str:
    """SQL: who of these holds the path of a row whose cells have these places, a character each; what is unreadable is
    held, and is not the same."""
    here = f"CASE WHEN substr({row}.cells, {{0}}, 1) IN ('+', '!') THEN substr({row}.cells, {{0}}, 1) ELSE '-' END"
    return " || ".join(here.format(places[one]) if one in places else "'-'" for one in replicas)


class Told(NamedTuple):
    """What tells a directory; nothing where no path in it is told."""

    finding: int | None = None
    since: datetime | None = None
    accepted_at: datetime | None = None
    """When the finding was accepted; None while it is open."""
    was_absence: bool = False
    """Whether the directory was an absence, or a part of one."""


class Part(NamedTuple):
    """Some paths of a directory that one finding tells."""

    finding: int
    number: int
    since: datetime


class Old(NamedTuple):
    """An absence as it was."""

    path: str
    mark: bytes
    held: str
    told: Told
    mixed: bool
    """Whether other rows lie below."""


OLD = f"""
SELECT old.path, old.mark, {{held}}, old.finding_id, old.since, finding.closed_at, EXISTS (
    SELECT FROM checker_divergence AS row WHERE row.comparison_id = old.comparison_id AND row.number IS NULL
        AND {below("row", "old")})
FROM checker_divergence AS old LEFT JOIN checker_finding AS finding
    ON finding.id = old.finding_id AND finding.state = 'accepted'
WHERE old.comparison_id = %(comparison)s AND old.number IS NOT NULL
"""
TOTAL = f"""
SELECT one.path, sum(held.seen) FROM diverging_held AS held JOIN unnest(%(directories)s::text[]) AS one(path)
    ON one.path = (%(directories)s::text[])[{place_of("held.folder")}]
WHERE held.position = %(position)s AND starts_with(held.folder, one.path) GROUP BY one.path
"""
# Rows of findings that stand for what is there still: another content is another loss.
ROWS = f"""
SELECT one.path, row.finding_id, count(*), min(row.since) FROM unnest(%(directories)s::text[]) AS one(path)
CROSS JOIN LATERAL (SELECT * FROM checker_divergence AS lost WHERE lost.comparison_id = %(comparison)s
    AND lost.number IS NULL AND lost.kind = 'lost' AND lost.finding_id IS NOT NULL AND {below("lost", "one")}
    AND {{held}} = %(held)s OFFSET 0) AS row
JOIN scanner_version AS was ON was.id = row.versions[%(place)s]
CROSS JOIN LATERAL (SELECT * FROM scanner_version AS held WHERE held.replica_id = %(replica)s
    AND left(held.path, 512) = left(row.path, 512) AND held.path = row.path AND held.from_seq <= %(sequence)s
    AND (held.until_seq IS NULL OR held.until_seq > %(sequence)s) OFFSET 0) AS now
WHERE (now.type, now.sha256) IS NOT DISTINCT FROM (was.type, was.sha256)
    AND (now.type = 1 OR now.detail = was.detail)
GROUP BY one.path, row.finding_id
"""
SEEN = """
SELECT coalesce(sum(seen), 0) FROM diverging_held WHERE position = %(position)s AND starts_with(folder, %(path)s)
"""


def told(
    before: Before, sides: Sequence[ComparedReplica], found: Sequence[Absence], marks: Mapping[str, bytes]
) -> Iterator[tuple[str, Told]]:
    """The directories of `found` that may be absences, and what tells them; `marks` as absences have them. What was one
    already, by the same mark, goes on as it is. Reads `diverging_held`."""
    known = list(_known(before, sides))
    same = {(old.path, old.mark): old.told for old in known}
    by_lacking: dict[frozenset[int], list[str]] = {}
    for one in found:
        if was := same.get((one.directory, marks[one.directory])):
            yield one.directory, was
        else:
            by_lacking.setdefault(one.lacking, []).append(one.directory)
    for lacking, directories in by_lacking.items():
        yield from _Looking(before, sides, lacking, sorted(directories)).alike(known)


def _known(before: Before, sides: Sequence[ComparedReplica]) -> Iterator[Old]:
    """The absences that there were."""
    statement = OLD.format(held=before.held("old", sides))
    for path, mark, held, finding, since, accepted_at, mixed in fetch_all(
        statement, {"comparison": before.comparison_id}
    ):
        yield Old(path, bytes(mark), held, Told(finding, since, accepted_at, True), mixed)


class _Looking:
    """Directories that the same sides lack."""

    def __init__(
        self, before: Before, sides: Sequence[ComparedReplica], lacking: frozenset[int], directories: list[str]
    ) -> None:
        holding = [side for side in sides if side.position not in lacking]
        first, names = holding[0], {side.replica_id for side in holding}
        self._held = "".join("+" if one in names else "-" for one in before.everyone(sides))
        self._rows = ROWS.format(held=before.held("lost", sides))
        self._given: dict[str, Any] = {
            "comparison": before.comparison_id, "directories": directories, "held": self._held,
            "position": first.position, "replica": first.replica_id, "sequence": first.sequence,
            "place": before.places.get(first.replica_id, 0),
        }  # fmt: skip

    def alike(self, known: Sequence[Old]) -> Iterator[tuple[str, Told]]:
        """Those whose paths are told alike, with what tells them; `known` are the absences that there were."""
        totals = dict(fetch_all(TOTAL, self._given))
        rows: dict[str, list[Part]] = {}
        for path, *some in fetch_all(self._rows, self._given):
            rows.setdefault(path, []).append(Part(*some))
        old = [one for one in known if one.held == self._held]
        for directory in self._given["directories"]:
            if above := [one for one in old if directory.startswith(one.path)]:
                yield directory, above[0].told
                continue
            within = [one for one in old if one.path.startswith(directory)]
            parts = rows.get(directory, []) + [part for one in within if (part := self._part(one))]
            if not parts:
                yield directory, Told()
            elif _are_all(parts, totals.get(directory, 0)) and not any(one.mixed for one in within):
                finding, since = parts[0].finding, min(part.since for part in parts)
                accepted = Finding.objects.filter(pk=finding, state=Finding.State.ACCEPTED)
                yield directory, Told(finding, since, accepted.values_list("closed_at", flat=True).first())

    def _part(self, old: Old) -> Part | None:
        """What an absence told."""
        ((number,),) = fetch_all(SEEN, self._given | {"path": old.path})
        by = old.told
        return Part(by.finding, int(number), by.since) if number and by.finding and by.since else None


def _are_all(parts: Sequence[Part], total: int) -> bool:
    return len({part.finding for part in parts}) == 1 and sum(part.number for part in parts) == total
