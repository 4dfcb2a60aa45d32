"""Read from an address which duplicates a person wants to see, and make addresses that ask for others."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from django.http import QueryDict

from checker.duplicates.queries import DuplicateFilter
from scanner.listing import MAX_TEXT


class DuplicateListQuery(NamedTuple):
    """A page of duplicates as an address asks for it."""

    search: str = ""
    after: str = ""

    @property
    def filter(self) -> DuplicateFilter:
        """The contents that it asks for."""
        return DuplicateFilter(self.search)

    def query(self, **changes: str) -> str:
        """Return the query part of an address that asks for the same but for `changes`. Defaults are left out."""
        changed = self._asdict() | changes
        return f"?{urlencode({field: value for field, value in changed.items() if value})}"


def read_query(query: QueryDict) -> DuplicateListQuery:
    """Return what an address asks for."""
    return DuplicateListQuery(
        search=query.get("search", "")[:MAX_TEXT].replace("\0", ""),
        after=query.get("after", ""),
    )
