"""Find the finding to which a missing directory belongs, from what its paths belonged to before.

A missing directory belongs to one finding, as a path does. So a directory becomes one only when its paths were alike in
this: all of them belonged to one finding, or none to any. Otherwise each path goes on in a row of its own. So does what
appears in a missing directory after its finding was accepted: nobody has accepted that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from checker.divergences.compare import ComparedReplica, MissingDirectory, state_parameters
from checker.divergences.statements import statement
from checker.models import Finding
from scanner.db.sql import fetch_all


class PreviousComparison(NamedTuple):
    """The stored result of a comparison that is computed anew."""

    comparison_id: int
    positions: Mapping[int, int]
    """The position of each replica in what is stored."""

    def all_replicas(self, replicas: Collection[ComparedReplica]) -> list[int]:
        """Return the ids of all replicas that take part, or took part."""
        return sorted({*self.positions, *(replica.replica_id for replica in replicas)})

    def new_holders(self, alias: str, replicas: Collection[ComparedReplica]) -> str:
        """Return SQL for which of `all_replicas` hold the path of a new row."""
        positions = {replica.replica_id: replica.position for replica in replicas}
        return holders_expression(alias, self.all_replicas(replicas), positions)

    def old_holders(self, alias: str, replicas: Collection[ComparedReplica]) -> str:
        """Return SQL for which of `all_replicas` held the path of a stored row."""
        return holders_expression(alias, self.all_replicas(replicas), self.positions)


HOLDS = """
CASE
    WHEN substr({alias}.cells, {position}, 1) IN ('+', '!') THEN substr({alias}.cells, {position}, 1)
    ELSE '-'
END
"""


def holders_expression(alias: str, replica_ids: Sequence[int], positions: Mapping[int, int]) -> str:
    """Return SQL for a text with one character for each replica: whether it holds the path of a row with cells.

    What a replica holds and cannot read is not the same as what it holds.
    """
    expressions = []
    for replica_id in replica_ids:
        if replica_id in positions:
            expressions.append(HOLDS.format(alias=alias, position=positions[replica_id]))
        else:
            expressions.append("'-'")
    return " || ".join(expressions)


class Attribution(NamedTuple):
    """The finding to which a directory belongs. Empty where none of its paths belongs to any."""

    finding_id: int | None = None
    since: datetime | None = None
    accepted_at: datetime | None = None
    """When the finding was accepted. None while it is open."""
    was_missing: bool = False
    """Whether the directory was a missing directory, or a part of one, before."""


class AttributedPaths(NamedTuple):
    """Some paths of a directory that belong to one finding."""

    finding_id: int
    number: int
    since: datetime


class KnownDirectory(NamedTuple):
    """A missing directory of the previous comparison."""

    path: str
    mark: bytes
    held: str
    """The replicas that held it, in the form of `holders_expression`."""
    attribution: Attribution
    is_mixed: bool
    """Whether other rows lie below it."""


def attribute_directories(
    previous: PreviousComparison,
    replicas: Sequence[ComparedReplica],
    directories: Sequence[MissingDirectory],
    marks: Mapping[str, bytes],
) -> Iterator[tuple[str, Attribution]]:
    """Yield the directories that can be missing directories, each with its attribution.

    `marks` has the mark of each directory. What was a missing directory with the same mark goes on as it is. Reads
    `diverging_held`.
    """
    known_directories = list(_known_directories(previous, replicas))
    known_attributions = {(known.path, known.mark): known.attribution for known in known_directories}

    directories_by_lacking: dict[frozenset[int], list[str]] = {}
    for missing in directories:
        attribution = known_attributions.get((missing.directory, marks[missing.directory]))
        if attribution is not None:
            yield missing.directory, attribution
        else:
            directories_by_lacking.setdefault(missing.lacking, []).append(missing.directory)

    for lacking, paths in directories_by_lacking.items():
        lookup = AttributionLookup(previous, replicas, lacking, sorted(paths))
        yield from lookup.attribute(known_directories)


def _known_directories(previous: PreviousComparison, replicas: Sequence[ComparedReplica]) -> Iterator[KnownDirectory]:
    known_missing = statement("known_missing", held=previous.old_holders("missing", replicas))
    rows = fetch_all(known_missing, {"comparison": previous.comparison_id})
    for path, mark, held, finding_id, since, accepted_at, is_mixed in rows:
        attribution = Attribution(finding_id, since, accepted_at, was_missing=True)
        yield KnownDirectory(path, bytes(mark), held, attribution, is_mixed)


class AttributionLookup:
    """Directories that the same participants lack, and what their paths belonged to."""

    def __init__(
        self,
        previous: PreviousComparison,
        replicas: Sequence[ComparedReplica],
        lacking: frozenset[int],
        directories: list[str],
    ) -> None:
        holders = [replica for replica in replicas if replica.position not in lacking]
        holder_ids = {replica.replica_id for replica in holders}
        first_holder = holders[0]

        self._directories = directories
        self._held = "".join("+" if pk in holder_ids else "-" for pk in previous.all_replicas(replicas))
        self._attributed_rows = statement("attributed_rows", held=previous.old_holders("lost", replicas))
        self._parameters = state_parameters(first_holder) | {
            "comparison": previous.comparison_id,
            "directories": directories,
            "held": self._held,
            "previous_position": previous.positions.get(first_holder.replica_id, 0),
        }

    def attribute(self, known_directories: Sequence[KnownDirectory]) -> Iterator[tuple[str, Attribution]]:
        """Yield the directories whose paths belonged to the same, each with its attribution."""
        totals = dict(fetch_all(statement("visible_totals"), self._parameters))
        rows = self._read_attributed_rows()
        same_holders = [known for known in known_directories if known.held == self._held]

        for directory in self._directories:
            # Part of a larger directory that was missing already: it belongs to the same finding.
            above = [known for known in same_holders if directory.startswith(known.path)]
            if above:
                yield directory, above[0].attribution
                continue

            # Otherwise all paths, whether they had rows of their own or not, must have belonged to one finding.
            within = [known for known in same_holders if known.path.startswith(directory)]
            parts = rows.get(directory, []) + self._read_known_paths(within)
            if not parts:
                yield directory, Attribution()
            elif _is_whole(parts, totals.get(directory, 0)) and not any(known.is_mixed for known in within):
                yield directory, _join(parts)

    def _read_attributed_rows(self) -> dict[str, list[AttributedPaths]]:
        """Return the paths of each directory that had rows of their own."""
        rows: dict[str, list[AttributedPaths]] = {}
        for path, finding_id, number, since in fetch_all(self._attributed_rows, self._parameters):
            rows.setdefault(path, []).append(AttributedPaths(finding_id, number, since))
        return rows

    def _read_known_paths(self, known_directories: Sequence[KnownDirectory]) -> list[AttributedPaths]:
        """Return the paths for which missing directories stood."""
        parts = []
        for known in known_directories:
            parameters: dict[str, Any] = self._parameters | {"path": known.path}
            ((number,),) = fetch_all(statement("visible_total"), parameters)
            finding_id = known.attribution.finding_id
            since = known.attribution.since
            if number and finding_id and since:
                parts.append(AttributedPaths(finding_id, int(number), since))
        return parts


def _is_whole(parts: Sequence[AttributedPaths], total: int) -> bool:
    """Return whether the parts belong to one finding and are all that the directory holds."""
    return len({part.finding_id for part in parts}) == 1 and sum(part.number for part in parts) == total


def _join(parts: Sequence[AttributedPaths]) -> Attribution:
    """Return the attribution of parts that belong to one finding."""
    finding_id = parts[0].finding_id
    accepted = Finding.objects.filter(pk=finding_id, state=Finding.State.ACCEPTED)
    accepted_at = accepted.values_list("closed_at", flat=True).first()
    return Attribution(finding_id, min(part.since for part in parts), accepted_at)
