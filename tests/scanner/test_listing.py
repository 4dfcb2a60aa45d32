"""Lists as addresses ask for them: whatever makes no sense has its default, and addresses hold the rest."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django import forms
from django.http import QueryDict

from scanner.listing import (
    MAX_TEXT,
    DirectoryField,
    ListQuery,
    NumberField,
    OneOfField,
    SeveralField,
    TextField,
    TokenField,
    breadcrumbs,
    parameter,
    toggle,
)


class FruitForm(forms.Form):
    """One field of each sort."""

    kind = SeveralField(choices=[("apple", "Apples"), ("pear", "Pears")])
    below = DirectoryField()
    search = TextField()
    view = OneOfField(choices=[("list", "List"), ("tree", "Tree")], initial="list")
    most = NumberField(min_value=1)
    after = TokenField()


@dataclass(frozen=True)
class FruitQuery(ListQuery):
    """A page of a list of fruit."""

    form_class = FruitForm

    kinds: tuple[str, ...] = parameter("kind", default=())
    most: int | None = None
    below: str = ""
    search: str = ""
    view: str = "list"
    after: str = ""


def read(query_string: str) -> FruitQuery:
    return FruitQuery.read(QueryDict(query_string))


@pytest.mark.parametrize(
    "query_string", ["", "kind=stone&view=&order=size", "view=grid&below=/&search=&after=", "most=x", "most=0"]
)
def test_nonsense_has_its_default(query_string: str) -> None:
    """A parameter that is missing, unknown or empty does not refuse the list."""
    assert read(query_string) == FruitQuery()


def test_values_are_cleaned() -> None:
    """Kinds come in their own order, directories with one slash, text without NUL and not longer than it may be."""
    query = read(f"kind=pear&kind=apple&below=/a/b&search=%00%20x{'y' * MAX_TEXT}&view=tree&after=%00token&most=7")
    assert query.kinds == ("apple", "pear")
    assert query.below == "a/b/"
    assert query.search == f" x{'y' * (MAX_TEXT - 3)}"
    assert query.view == "tree"
    assert query.after == "\0token"
    assert query.most == 7


def test_addresses_hold_what_is_no_default() -> None:
    """An address read again is the same query; a change replaces one parameter."""
    query = read("kind=pear&kind=apple&search=%26&view=tree")
    assert query.address() == "?kind=apple&kind=pear&search=%26&view=tree"
    assert read(query.address().removeprefix("?")) == query
    assert query.address(kinds=("pear",), view="list", after="t") == "?kind=pear&search=%26&after=t"


def test_a_value_is_toggled_in_its_place() -> None:
    """Values keep their own order, whatever the order of the clicks was."""
    values = ["apple", "pear", "quince"]
    assert toggle(("quince",), "apple", values) == ("apple", "quince")
    assert toggle(("apple", "quince"), "apple", values) == ("quince",)


def test_breadcrumbs_lead_to_a_directory() -> None:
    """Each directory on the way has its whole path."""
    assert [crumb.below for crumb in breadcrumbs("a/b/c/")] == ["a/", "a/b/", "a/b/c/"]
    assert breadcrumbs("") == []
