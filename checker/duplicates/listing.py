"""Read from an address which duplicates a person wants to see, and make addresses that ask for others."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms

from checker.duplicates.queries import DuplicateFilter
from scanner.listing import ListQuery, TextField, TokenField


class DuplicateListForm(forms.Form):
    """Parameters of the duplicates of a replica or a group."""

    search = TextField()
    after = TokenField()


@dataclass(frozen=True)
class DuplicateListQuery(ListQuery):
    """A page of the duplicates of a replica or a group."""

    form_class = DuplicateListForm

    search: str = ""
    after: str = ""

    @property
    def filter(self) -> DuplicateFilter:
        """The contents that it asks for."""
        return DuplicateFilter(self.search)
