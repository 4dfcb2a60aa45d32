"""Read from an address which page of a list a person asks for, and write addresses that ask for more of it.

A list has a form that cleans the GET parameters, and a query: a frozen dataclass with a field for each parameter. To
make one for changes:

    class ChangeListForm(forms.Form):
        kind = SeveralField(choices=Kind.choices)
        below = DirectoryField()
        search = TextField()
        view = OneOfField(choices=VIEWS, initial="list")
        after = TokenField()


    @dataclass(frozen=True)
    class ChangeListQuery(ListQuery):
        form_class = ChangeListForm

        kinds: tuple[str, ...] = parameter("kind", default=())
        below: str = ""
        search: str = ""
        view: str = "list"
        after: str = ""

A view reads the query, hands a filter and `after` to the function that lists a page (`scanner.db.keyset`), and renders:

    query = ChangeListQuery.read(request.GET)
    page = list_changes(comparison, ChangeFilter(query.kinds, query.below, query.search), query.after)
    context = {"query": query, "page": page, "more": query.address(after=page.after)}

Filters of one kind each are `FilterOption`s, made of the same query.

The fields never refuse anything: a parameter that is missing or makes no sense has its default, so that an old or
mistyped address still shows a list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

MAX_TEXT = 4096
"""Characters of a search or a directory; no path of a report is found by more."""


class TextField(forms.CharField):
    """Text to search for. It is cut to MAX_TEXT, and loses NUL, which PostgreSQL does not store."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, strip=False, **options)

    def to_python(self, value: Any) -> str:
        """Return the text."""
        return str(value or "")[:MAX_TEXT].replace("\0", "")


class DirectoryField(TextField):
    """The path of a directory, with one slash at its end; empty for the root."""

    def to_python(self, value: Any) -> str:
        """Return the path."""
        return directory_path(str(value or ""))


class TokenField(forms.Field):
    """The token of a page, which `scanner.db.keyset` checks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def to_python(self, value: Any) -> str:
        """Return the token as it came."""
        return str(value or "")


class NumberField(forms.IntegerField):
    """A whole number; None when something else, or nothing, is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def clean(self, value: Any) -> int | None:
        """Return the number."""
        try:
            number: int | None = super().clean(value)
        except ValidationError:
            return None
        return number


class OneOfField(forms.ChoiceField):
    """One of several values; `initial` when another one, or none, is asked for."""

    def clean(self, value: Any) -> str:
        """Return the value."""
        try:
            return str(super().clean(value))
        except ValidationError:
            return str(self.initial or "")


class SeveralField(forms.MultipleChoiceField):
    """Any number of values. Unknown ones are dropped, the others come in the order of the choices."""

    def __init__(self, *, choices: Sequence[tuple[str, Any]], **options: Any) -> None:
        super().__init__(choices=choices, required=False, **options)
        self._values = [value for value, _label in choices]

    def clean(self, value: Any) -> Any:
        """Return the values as a tuple."""
        return tuple(known for known in self._values if known in (value or ()))


def parameter(name: str, *, default: Any) -> Any:
    """Return a dataclass field whose GET parameter has this name, and not that of the field."""
    return dataclasses.field(default=default, metadata={"parameter": name})


@dataclasses.dataclass(frozen=True)
class ListQuery:
    """A page of a list as an address asks for it. A subclass has a field for each GET parameter, with its default."""

    form_class: ClassVar[type[forms.Form]]

    @classmethod
    def read(cls, parameters: QueryDict) -> Self:
        """Return the query of these GET parameters."""
        # full_clean() and not is_valid(): no field of these forms refuses anything.
        form = cls.form_class(parameters)
        form.full_clean()

        values = {}
        for field in dataclasses.fields(cls):
            values[field.name] = form.cleaned_data[_parameter(field)]
        return cls(**values)

    def address(self, **changes: Any) -> str:
        """Return the query part of an address for the same list with `changes`. Defaults are left out."""
        query = dataclasses.replace(self, **changes)
        pairs: list[tuple[str, Any]] = []
        for field in dataclasses.fields(query):
            value = getattr(query, field.name)
            if value == field.default:
                continue

            if isinstance(value, tuple):
                pairs += [(_parameter(field), element) for element in value]
            else:
                pairs.append((_parameter(field), value))

        return f"?{urlencode(pairs)}"


def _parameter(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("parameter", field.name))


class PageForm(forms.Form):
    """The one parameter of a list without filters."""

    after = TokenField()


@dataclasses.dataclass(frozen=True)
class PageQuery(ListQuery):
    """A page of a list without filters."""

    form_class = PageForm

    after: str = ""


class FilterOption(NamedTuple):
    """A value of a filter as a link: how many rows have it, whether it is selected, and the address that toggles it."""

    value: str
    label: str
    number: int
    is_selected: bool
    address: str
    explanation: str = ""


def toggle(selected: Sequence[str], value: str, values: Sequence[str]) -> tuple[str, ...]:
    """Return the selected values with `value` added or taken away, in the order of `values`."""
    toggled = set(selected) ^ {value}
    return tuple(candidate for candidate in values if candidate in toggled)


class Breadcrumb(NamedTuple):
    """A directory on the way from the root to the one that is shown."""

    name: str
    below: str
    """Its path with a slash at the end."""


@dataclasses.dataclass(frozen=True)
class TreeListQuery(ListQuery):
    """A page of paths, as a list or as one directory of a tree."""

    below: str = ""
    """The path of the directory that is shown, with a slash at the end; empty for the root."""
    search: str = ""
    view: str = ""
    after: str = ""

    @property
    def tree_address(self) -> str:
        """The address of the tree. A search has no place in it."""
        return self.address(view="tree", search="", after="")

    @property
    def list_address(self) -> str:
        """The address of the list."""
        return self.address(view="list", after="")

    def breadcrumbs(self) -> list[Breadcrumb]:
        """Return the directories that lead to the one that is shown."""
        return breadcrumbs(self.below)


def with_parameters(url: str, parameters: QueryDict) -> str:
    """Return the address `url` with the GET parameters of another one."""
    if not parameters:
        return url
    return f"{url}?{parameters.urlencode()}"


def breadcrumbs(directory: str) -> list[Breadcrumb]:
    """Return the directories that lead to `directory`, itself included; none for the root."""
    result = []
    path = ""
    for name in directory.split("/")[:-1]:
        path += f"{name}/"
        result.append(Breadcrumb(name, path))
    return result


def directory_path(text: str) -> str:
    """Return a directory's path as the tree names it: empty for the root, else with one slash at its end."""
    path = text[:MAX_TEXT].replace("\0", "").strip("/")
    if not path:
        return ""
    return f"{path}/"
