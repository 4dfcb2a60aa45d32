"""What a form of export could not say: how many of each kind, and the first names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum

from scanner.format.entry_type import EntryType
from scanner.format.records import Entry
from scanner.formatting.names import plain_shown

FIRST = 5
"""Names of each kind that are told."""
_BRIEF = 200


class Why(Enum):
    """Why an entry is in no list."""

    UNREADABLE = "could not be read"
    NAME = "name that this form cannot say"
    LINK = "symbolic link"
    SPECIAL = "special file"


_REASONS: dict[int, Why] = {EntryType.ERROR: Why.UNREADABLE, EntryType.LINK: Why.LINK}


class LeftOut:
    """Filled while a form is written, read when it is."""

    def __init__(self) -> None:
        self.counts: Counter[Why] = Counter()
        self._first: dict[Why, list[str]] = {}

    @property
    def wrong(self) -> bool:
        """Whether something is missing that a list of files should hold: a link has no digest, a file has."""
        return bool(self.counts[Why.UNREADABLE] + self.counts[Why.NAME])

    def add(self, why: Why, path: str) -> None:
        """Count an entry by its coded path."""
        self.counts[why] += 1
        if self.counts[why] <= FIRST:
            self._first.setdefault(why, []).append(path)

    def add_other(self, row: Entry) -> None:
        """Count an entry that is no file."""
        self.add(_REASONS.get(row.type, Why.SPECIAL), row.path)

    def lines(self) -> Iterator[str]:
        """A sentence for each kind, harmless wherever it is shown."""
        for why in Why:
            if self.counts[why]:
                names = ", ".join(plain_shown(path)[:_BRIEF] for path in self._first[why])
                more = ", …" if self.counts[why] > FIRST else ""
                yield f"left out, {why.value}: {self.counts[why]} ({names}{more})"
