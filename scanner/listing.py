"""What a person asks of a run's entries, read from the address; and the addresses that ask for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy

from scanner.format.entry_type import EntryType

TYPES = {"file": EntryType.FILE, "error": EntryType.ERROR, "link": EntryType.LINK, "special": EntryType.SPECIAL}
LABELS = {
    "": gettext_lazy("everything"),
    "file": gettext_lazy("files"),
    "error": gettext_lazy("errors"),
    "link": gettext_lazy("links"),
    "special": gettext_lazy("special"),
}
ORDERS = ("-size", "path")
LONGEST = 4096
"""Characters of a search or a prefix; no path of a report is found by more."""


class Wish(NamedTuple):
    """A list of entries as it was asked for."""

    search: str = ""
    prefix: str = ""
    type: str = ""
    order: str = "-size"
    after: str = ""

    @property
    def type_number(self) -> int | None:
        """The type as the records have it; None for all."""
        return TYPES.get(self.type)

    @property
    def actual_order(self) -> str:
        """What has no size is listed by path."""
        return self.order if self.type in ("", "file") else "path"

    def query(self, **changes: str) -> str:
        """The query part of an address that asks for the same but for `changes`; what is as usual is left out."""
        wish = self._replace(**changes)
        usual = Wish()
        said = {name: value for name, value in wish._asdict().items() if value != getattr(usual, name)}
        return f"?{urlencode(said)}"


def read(given: Mapping[str, str]) -> Wish:
    """The wish that an address holds; what it cannot mean is as if it were not there."""
    kind, order = given.get("type", ""), given.get("order", "")
    return Wish(
        given.get("search", "")[:LONGEST].replace("\0", ""),
        given.get("prefix", "")[:LONGEST].replace("\0", ""),
        kind if kind in TYPES else "",
        order if order in ORDERS else ORDERS[0],
        given.get("after", ""),
    )


class Step(NamedTuple):
    """A directory on the way from the root to the one that is shown."""

    name: str
    below: str
    """Its path with a slash; empty for the root."""


def steps(below: str) -> list[Step]:
    """The directories that lead to `below`, itself included."""
    parts = below.split("/")[:-1]
    return [Step(part, "/".join(parts[: at + 1]) + "/") for at, part in enumerate(parts)]


def directory(text: str) -> str:
    """A directory's path as the tree names it: empty for the root, else with one slash at its end."""
    text = text[:LONGEST].replace("\0", "").strip("/")
    return f"{text}/" if text else ""
