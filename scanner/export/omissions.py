"""Count what an export format could not express: how many entries for each reason, and the first names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum

from scanner.format.entry_type import EntryType
from scanner.format.records import Entry
from scanner.formatting.names import visible_text

FIRST_NAMES = 5
"""Names that are listed for each reason."""
MAX_NAME = 200


class OmissionReason(Enum):
    """Reason why an entry is in no list; its value is what people read."""

    UNREADABLE = "could not be read"
    NAME = "name that this form cannot say"
    LINK = "symbolic link"
    SPECIAL = "special file"


class Omissions:
    """Entries that are left out. Filled while a format is written, read afterwards."""

    def __init__(self) -> None:
        self.counts: Counter[OmissionReason] = Counter()
        self._first_paths: dict[OmissionReason, list[str]] = {}

    @property
    def has_files(self) -> bool:
        """Return whether a list of files lacks a file. A link has no digest, so it is no loss."""
        return self.counts[OmissionReason.UNREADABLE] > 0 or self.counts[OmissionReason.NAME] > 0

    def add(self, reason: OmissionReason, path: str) -> None:
        """Count an entry by its coded path."""
        self.counts[reason] += 1
        if self.counts[reason] <= FIRST_NAMES:
            self._first_paths.setdefault(reason, []).append(path)

    def add_entry(self, row: Entry) -> None:
        """Count an entry that is no file."""
        if row.type == EntryType.ERROR:
            reason = OmissionReason.UNREADABLE
        elif row.type == EntryType.LINK:
            reason = OmissionReason.LINK
        else:
            reason = OmissionReason.SPECIAL
        self.add(reason, row.path)

    def lines(self) -> Iterator[str]:
        """Yield a sentence for each reason, harmless wherever it is shown."""
        for reason in OmissionReason:
            count = self.counts[reason]
            if not count:
                continue

            names = [visible_text(path)[:MAX_NAME] for path in self._first_paths[reason]]
            if count > FIRST_NAMES:
                names.append("…")
            yield f"left out, {reason.value}: {count} ({', '.join(names)})"
