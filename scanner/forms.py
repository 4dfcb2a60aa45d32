"""Clean the GET parameters of the pages of a run: its entries and its tree."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.utils.translation import gettext_lazy

from scanner.db.entries import EntryFilter
from scanner.format.entry_type import EntryType
from scanner.listing import DirectoryField, ListQuery, OneOfField, TextField, TokenField

ENTRY_TYPES = {
    "file": EntryType.FILE,
    "error": EntryType.ERROR,
    "link": EntryType.LINK,
    "special": EntryType.SPECIAL,
}
TYPE_CHOICES = [
    ("", gettext_lazy("everything")),
    ("file", gettext_lazy("files")),
    ("error", gettext_lazy("errors")),
    ("link", gettext_lazy("links")),
    ("special", gettext_lazy("special")),
]
ORDERS = ["-size", "path"]


class EntryListForm(forms.Form):
    """Parameters of the list of a run's entries."""

    search = TextField()
    prefix = TextField()  # type: ignore[assignment]  # these forms have no prefix of their own
    type = OneOfField(choices=TYPE_CHOICES, initial="")
    order = OneOfField(choices=[(order, order) for order in ORDERS], initial="-size")
    after = TokenField()


@dataclass(frozen=True)
class EntryListQuery(ListQuery):
    """A page of the list of a run's entries."""

    form_class = EntryListForm

    search: str = ""
    prefix: str = ""
    type: str = ""
    order: str = "-size"
    after: str = ""

    @property
    def filter(self) -> EntryFilter:
        """Return the filter of the entries."""
        return EntryFilter(self.search, self.prefix, ENTRY_TYPES.get(self.type))

    @property
    def effective_order(self) -> str:
        """Return the order of the list: entries without a size are listed by path."""
        if self.type in ("", "file"):
            return self.order
        return "path"


class TreeForm(forms.Form):
    """Parameters of a directory of a run."""

    below = DirectoryField()
    after = TokenField()


@dataclass(frozen=True)
class TreeQuery(ListQuery):
    """A page of a directory of a run."""

    form_class = TreeForm

    below: str = ""
    after: str = ""
