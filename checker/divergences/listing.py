"""Read from an address which divergences of a group a person asks for, and write addresses that ask for others."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from checker.divergences.kinds import EXPLANATIONS
from checker.divergences.queries import DivergenceFilter
from checker.models import Divergence, GroupComparison
from scanner.listing import MAX_TEXT, directory_path

VIEWS = ("tree", "list")
YEARS = range(1970, 9000)
"""Near the first and the last year that Python knows, a time has no counterpart in another zone."""
LONGEST_MOMENT = 40
"""Characters of a time as a person writes it."""
PARAMETERS = {"position": "at"}
"""Names in the address of fields that are called otherwise."""


class DivergenceListQuery(NamedTuple):
    """The page of divergences that an address asks for."""

    kinds: tuple[str, ...] = ()
    verdict: str = ""
    position: str = ""
    """The position of a replica: only what is wrong there."""
    below: str = ""
    search: str = ""
    view: str = ""
    """Empty: the tree, or the list where a search needs it."""
    after: str = ""
    moment: str = ""
    """As of when. Empty: now."""

    @property
    def filter(self) -> DivergenceFilter:
        """The divergences that are asked for."""
        return DivergenceFilter(self.kinds, self.verdict, int(self.position or 0), self.below, self.search)

    @property
    def is_tree(self) -> bool:
        """Directories are shown folded. A search, or a verdict other than damage, looks into all of them."""
        foldable = not self.search and self.verdict in ("", Divergence.PathVerdict.DAMAGED)
        return foldable and self.view != "list"

    @property
    def time(self) -> datetime | None:
        """The moment that is asked for. None: now."""
        return parse_moment(self.moment)

    def query(self, **changes: object) -> str:
        """Return the query part of an address that asks for the same but for `changes`. Defaults are left out."""
        changed = self._replace(**changes)  # type: ignore[arg-type]  # the names are those of the fields
        pairs: list[tuple[str, str]] = [("kind", kind) for kind in changed.kinds]
        for field in ("verdict", "position", "below", "search", "view", "after", "moment"):
            value = getattr(changed, field)
            if value:
                pairs.append((PARAMETERS.get(field, field), value))
        return f"?{urlencode(pairs)}"


class FilterOption(NamedTuple):
    """A kind or a verdict by which one can filter."""

    name: str
    label: str
    number: int
    """How many divergences have it."""
    chosen: bool
    query: str
    """The query part of the address that chooses it, or no longer does."""
    explanation: str


def parse_moment(text: str) -> datetime | None:
    """Return a time as a person writes it, without a zone in that of the site. None for what is no time of a run."""
    try:
        moment = parse_datetime(text)
        if moment is None or moment.year not in YEARS:
            return None
        if timezone.is_naive(moment):
            return timezone.make_aware(moment)
        return moment
    except ValueError:
        return None


def read_query(parameters: QueryDict) -> DivergenceListQuery:
    """Return what an address asks for. Parameters without a meaning count as absent."""
    view = parameters.get("view", "")
    verdict = parameters.get("verdict", "")
    position = parameters.get("at", "")
    # Three digits are enough for any group, and keep numbers that no column holds away from the database.
    is_position = position.isdecimal() and 0 < len(position) < 4 and int(position) > 0

    query = DivergenceListQuery(
        kinds=tuple(kind for kind in Divergence.Kind.values if kind in parameters.getlist("kind")),
        verdict=verdict if verdict in Divergence.PathVerdict.values else "",
        position=position if is_position else "",
        below=directory_path(parameters.get("below", "")),
        search=parameters.get("search", "")[:MAX_TEXT].replace("\0", ""),
        view=view if view in VIEWS else "",
        after=parameters.get("after", ""),
        moment=parameters.get("moment", "")[:LONGEST_MOMENT],
    )
    if query.time is None:
        return query._replace(moment="")
    return query


def filter_options(comparison: GroupComparison, query: DivergenceListQuery) -> list[FilterOption]:
    """Return the kinds and verdicts that occur, as filters."""
    options = []
    for kind in Divergence.Kind:
        number = comparison.counts.get(kind)
        if number:
            toggled = query.query(kinds=_toggle(query.kinds, kind), after="", verdict="")
            explanation = str(EXPLANATIONS[kind.value])
            options.append(FilterOption(kind.value, str(kind.label), number, kind in query.kinds, toggled, explanation))

    # A verdict says which contents differ, so it replaces the choice of kinds.
    for verdict in Divergence.PathVerdict:
        number = comparison.counts.get(verdict)
        if number:
            chosen = query.verdict == verdict
            toggled = query.query(verdict="" if chosen else verdict.value, after="", kinds=())
            explanation = str(EXPLANATIONS[verdict.value])
            options.append(FilterOption(verdict.value, str(verdict.label), number, chosen, toggled, explanation))
    return options


def count_divergences(comparison: GroupComparison, kinds: Iterable[str] = tuple(Divergence.Kind.values)) -> int:
    """Return how many paths diverge."""
    return sum(comparison.counts.get(kind, 0) for kind in kinds)


def _toggle(kinds: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """Return the kinds with one more or one less, in the order of urgency."""
    return tuple(value for value in Divergence.Kind.values if (value in kinds) != (value == kind))
