"""What a person asks of the divergences of a group, read from the address; and the addresses that ask for more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from checker.divergences.queries import DivergenceFilter
from checker.models import Divergence, GroupComparison
from scanner.listing import LONGEST, directory

VIEWS = ("tree", "list")
YEARS = range(1970, 9000)
"""At the ends of what Python counts a time is no time any more in another zone."""


PARAMETERS = {"position": "at"}
"""Names in the address of fields that are called otherwise."""


class DivergenceListQuery(NamedTuple):
    """A page of divergences as it was asked for."""

    kinds: tuple[str, ...] = ()
    verdict: str = ""
    position: str = ""
    """The position of a replica: what is wrong there."""
    below: str = ""
    search: str = ""
    view: str = ""
    """Empty: the tree, or the list where a search says so."""
    after: str = ""
    moment: str = ""
    """As of when; empty: now."""

    @property
    def filter(self) -> DivergenceFilter:
        """Which divergences are meant."""
        return DivergenceFilter(self.kinds, self.verdict, int(self.position or 0), self.below, self.search)

    @property
    def is_tree(self) -> bool:
        """Whether directories are shown folded: a search, or a verdict other than damage, looks through all of them."""
        foldable = not self.search and self.verdict in ("", Divergence.PathVerdict.DAMAGED)
        return foldable and self.view != "list"

    @property
    def time(self) -> datetime | None:
        """As of when; None: now, or no time."""
        return parse_moment(self.moment)

    def query(self, **changes: object) -> str:
        """The query part of an address that asks for the same but for `changes`; what is as usual is left out."""
        asked = self._replace(**changes)  # type: ignore[arg-type]  # the names are those of the fields
        said: list[tuple[str, str]] = [("kind", kind) for kind in asked.kinds]
        for field in ("verdict", "position", "below", "search", "view", "after", "moment"):
            value = getattr(asked, field)
            if value:
                said.append((PARAMETERS.get(field, field), value))
        return f"?{urlencode(said)}"


class FilterOption(NamedTuple):
    """A kind or a verdict as a filter: how many there are, whether it is chosen, and the address that changes that."""

    name: str
    label: str
    number: int
    chosen: bool
    query: str


def parse_moment(text: str) -> datetime | None:
    """A time as a person writes it, without a zone in that of the site; None for what is none, or no time of a run."""
    try:
        moment = parse_datetime(text)
        if moment is None or moment.year not in YEARS:
            return None
        return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
    except ValueError:
        return None


def read_query(given: QueryDict) -> DivergenceListQuery:
    """What an address asks for; what it cannot mean is as if it were not there."""
    view, verdict, at = given.get("view", ""), given.get("verdict", ""), given.get("at", "")
    ask = DivergenceListQuery(
        tuple(kind for kind in Divergence.Kind.values if kind in given.getlist("kind")),
        verdict if verdict in Divergence.PathVerdict.values else "",
        at if at.isdecimal() and 0 < len(at) < 4 and int(at) else "",
        directory(given.get("below", "")),
        given.get("search", "")[:LONGEST].replace("\0", ""),
        view if view in VIEWS else "",
        given.get("after", ""),
        given.get("moment", "")[:40],
    )
    return ask if ask.time else ask._replace(moment="")


def filter_options(comparison: GroupComparison, ask: DivergenceListQuery) -> list[FilterOption]:
    """The kinds and verdicts that there are, as filters."""
    found = []
    for kind in Divergence.Kind:
        if comparison.counts.get(kind):
            kinds = tuple(one for one in Divergence.Kind.values if (one in ask.kinds) != (one == kind))
            query = ask.query(kinds=kinds, after="", verdict="")
            found.append(FilterOption(kind.value, str(kind.label), comparison.counts[kind], kind in ask.kinds, query))
    for verdict in Divergence.PathVerdict:
        if comparison.counts.get(verdict):
            chosen = ask.verdict == verdict
            query = ask.query(verdict="" if chosen else verdict.value, after="", kinds=())
            found.append(FilterOption(verdict.value, str(verdict.label), comparison.counts[verdict], chosen, query))
    return found


def count_divergences(comparison: GroupComparison, kinds: Iterable[str] = tuple(Divergence.Kind.values)) -> int:
    """All paths that diverge."""
    return sum(comparison.counts.get(kind, 0) for kind in kinds)
