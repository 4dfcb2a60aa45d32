"""Read from an address which changes a person wants to see, and make addresses that ask for others."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from django.http import QueryDict

from checker.changes.queries import ChangeFilter
from checker.models import Change, Comparison
from scanner.listing import MAX_TEXT, directory_path

VIEWS = ("list", "tree")


class ChangeListQuery(NamedTuple):
    """A page of changes as an address asks for it."""

    kinds: tuple[str, ...] = ()
    below: str = ""
    search: str = ""
    view: str = VIEWS[0]
    after: str = ""

    @property
    def filter(self) -> ChangeFilter:
        """The changes that it asks for."""
        return ChangeFilter(self.kinds, self.below, self.search)

    def query(self, **changes: object) -> str:
        """Return the query part of an address that asks for the same but for `changes`. Defaults are left out."""
        changed = self._replace(**changes)  # type: ignore[arg-type]  # the names are those of the fields
        defaults = ChangeListQuery()

        parameters: list[tuple[str, str]] = [("kind", kind) for kind in changed.kinds]
        for field in ("below", "search", "view", "after"):
            value = getattr(changed, field)
            if value != getattr(defaults, field):
                parameters.append((field, value))
        return f"?{urlencode(parameters)}"


class FilterOption(NamedTuple):
    """A kind as a filter: how many changes it has, whether it is chosen, and the address that changes that."""

    kind: Change.Kind
    number: int
    chosen: bool
    query: str


def read_query(query: QueryDict) -> ChangeListQuery:
    """Return what an address asks for. What has no meaning is ignored."""
    view = query.get("view", "")
    return ChangeListQuery(
        kinds=tuple(kind for kind in Change.Kind.values if kind in query.getlist("kind")),
        below=directory_path(query.get("below", "")),
        search=query.get("search", "")[:MAX_TEXT].replace("\0", ""),
        view=view if view in VIEWS else VIEWS[0],
        after=query.get("after", ""),
    )


def filter_options(comparison: Comparison, list_query: ChangeListQuery) -> list[FilterOption]:
    """Return the kinds of which a comparison has changes, as filters."""
    options = []
    for kind in Change.Kind:
        number = comparison.counts.get(kind)
        if not number:
            continue
        query = list_query.query(kinds=_toggle(list_query.kinds, kind), after="")
        options.append(FilterOption(kind, number, kind in list_query.kinds, query))
    return options


def count_changes(comparison: Comparison) -> int:
    """Return the number of all changes; a move counts once."""
    return sum(comparison.counts.values())


def _toggle(chosen: tuple[str, ...], kind: Change.Kind) -> tuple[str, ...]:
    """Return the chosen kinds with `kind` added or taken away, in the order of urgency."""
    toggled = set(chosen) ^ {kind.value}
    return tuple(value for value in Change.Kind.values if value in toggled)
