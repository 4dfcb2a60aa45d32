"""What a person asks of a list of duplicates, read from the address; and the addresses that ask for more."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from django.http import QueryDict

from checker.duplicates.queries import DuplicateFilter
from scanner.listing import MAX_TEXT


class DuplicateListQuery(NamedTuple):
    """A page of duplicates as it was asked for."""

    search: str = ""
    after: str = ""

    @property
    def filter(self) -> DuplicateFilter:
        """Which contents are meant."""
        return DuplicateFilter(self.search)

    def query(self, **changes: str) -> str:
        """The query part of an address that asks for the same but for `changes`; what is empty is left out."""
        asked = self._asdict() | changes
        return f"?{urlencode({name: value for name, value in asked.items() if value})}"


def read_query(given: QueryDict) -> DuplicateListQuery:
    """What an address asks for."""
    return DuplicateListQuery(given.get("search", "")[:MAX_TEXT].replace("\0", ""), given.get("after", ""))
