"""Read from an address which changes a person wants to see, and make addresses that ask for others."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms

from checker.changes.queries import ChangeFilter
from checker.models import Change, Comparison
from scanner.listing import (
    DirectoryField,
    FilterOption,
    OneOfField,
    SeveralField,
    TextField,
    TokenField,
    TreeListQuery,
    parameter,
    toggle,
)

VIEWS = ("list", "tree")


class ChangeListForm(forms.Form):
    """Parameters of the changes of a comparison."""

    kind = SeveralField(choices=Change.Kind.choices)
    below = DirectoryField()
    search = TextField()
    view = OneOfField(choices=[(view, view) for view in VIEWS], initial="list")
    after = TokenField()


@dataclass(frozen=True)
class ChangeListQuery(TreeListQuery):
    """A page of the changes of a comparison, as a list or as one directory of a tree."""

    form_class = ChangeListForm

    kinds: tuple[str, ...] = parameter("kind", default=())
    view: str = "list"

    @property
    def filter(self) -> ChangeFilter:
        """The changes that it asks for."""
        return ChangeFilter(self.kinds, self.below, self.search)

    @property
    def unfiltered_address(self) -> str:
        """The address of the same view without any filter."""
        return self.address(kinds=(), below="", search="", after="")

    def directory_address(self, directory: str) -> str:
        """Return the address of a directory in the tree, with the kinds that are selected."""
        return self.address(view="tree", below=directory, search="", after="")


def filter_options(comparison: Comparison, list_query: ChangeListQuery) -> list[FilterOption]:
    """Return the kinds of which a comparison has changes, as filters."""
    options = []
    for kind in Change.Kind:
        number = comparison.counts.get(kind)
        if not number:
            continue

        kinds = toggle(list_query.kinds, kind.value, Change.Kind.values)
        option = FilterOption(
            value=kind.value,
            label=str(kind.label),
            number=number,
            is_selected=kind in list_query.kinds,
            # The token of a page holds only in the list that gave it.
            address=list_query.address(kinds=kinds, after=""),
        )
        options.append(option)
    return options


def count_changes(comparison: Comparison) -> int:
    """Return the number of all changes; a move counts once."""
    return sum(comparison.counts.values())
