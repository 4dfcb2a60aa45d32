"""What a person asks of the changes between two runs, read from the address; and the addresses that ask for more."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from django.http import QueryDict

from checker.changes.queries import ChangeFilter
from checker.models import Change, Comparison
from scanner.listing import MAX_TEXT, directory_path

VIEWS = ("list", "tree")


class ChangeListQuery(NamedTuple):
    """A page of changes as it was asked for."""

    kinds: tuple[str, ...] = ()
    below: str = ""
    search: str = ""
    view: str = "list"
    after: str = ""

    @property
    def filter(self) -> ChangeFilter:
        """Which changes are meant."""
        return ChangeFilter(self.kinds, self.below, self.search)

    def query(self, **changes: object) -> str:
        """The query part of an address that asks for the same but for `changes`; what is as usual is left out."""
        asked = self._replace(**changes)  # type: ignore[arg-type]  # the names are those of the fields
        said: list[tuple[str, str]] = [("kind", kind) for kind in asked.kinds]
        usual = ChangeListQuery()
        for name in ("below", "search", "view", "after"):
            value = getattr(asked, name)
            if value != getattr(usual, name):
                said.append((name, value))
        return f"?{urlencode(said)}"


class FilterOption(NamedTuple):
    """A kind as a filter: how many there are, whether it is chosen, and the address that changes that."""

    kind: Change.Kind
    number: int
    chosen: bool
    query: str


def read_query(given: QueryDict) -> ChangeListQuery:
    """What an address asks for; what it cannot mean is as if it were not there."""
    kinds = tuple(kind for kind in Change.Kind.values if kind in given.getlist("kind"))
    view = given.get("view", "")
    return ChangeListQuery(
        kinds,
        directory_path(given.get("below", "")),
        given.get("search", "")[:MAX_TEXT].replace("\0", ""),
        view if view in VIEWS else VIEWS[0],
        given.get("after", ""),
    )


def filter_options(comparison: Comparison, ask: ChangeListQuery) -> list[FilterOption]:
    """The kinds that there are, as filters."""
    found = []
    for kind in Change.Kind:
        if not comparison.counts.get(kind):
            continue
        chosen = kind in ask.kinds
        kinds = [one for one in Change.Kind.values if (one in ask.kinds) != (one == kind)]
        found.append(FilterOption(kind, comparison.counts[kind], chosen, ask.query(kinds=tuple(kinds), after="")))
    return found


def count_changes(comparison: Comparison) -> int:
    """All changes; a move counts once."""
    return sum(comparison.counts.values())
