"""Read from an address which divergences of a group a person asks for, and write addresses that ask for others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from checker.divergences.kinds import EXPLANATIONS
from checker.divergences.queries import DivergenceFilter
from checker.models import Divergence, GroupComparison
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

VIEWS = ("tree", "list")
YEARS = range(1970, 9000)
"""Near the first and the last year that Python knows, a time has no counterpart in another zone."""
LONGEST_MOMENT = 40
"""Characters of a time as a person writes it."""
LONGEST_POSITION = 3
"""Digits of a replica's position: enough for any group, and too few for a number that no column holds."""


def parse_moment(text: str) -> datetime | None:
    """Return a time as a person writes it, without a zone in that of the site. None for what is no time of a run."""
    try:
        moment = parse_datetime(text)
        if moment is None or moment.year not in YEARS:
            return None
        if timezone.is_naive(moment):
            return timezone.make_aware(moment)
        return moment
    except ValueError:
        return None


class PositionField(forms.Field):
    """The position of a replica among those of a comparison, as text; empty for what is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def to_python(self, value: Any) -> str:
        """Return the position as it came: it stands in the address again."""
        position = str(value or "")
        if not position.isdecimal() or len(position) > LONGEST_POSITION:
            return ""
        # Positions begin with one.
        return position if int(position) > 0 else ""


class MomentField(forms.Field):
    """A time as `parse_moment` reads it, as text; empty for what is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def to_python(self, value: Any) -> str:
        """Return the time as it came: it stands in the address and in its input field again."""
        text = str(value or "")[:LONGEST_MOMENT]
        return text if parse_moment(text) is not None else ""


class DivergenceListForm(forms.Form):
    """Parameters of the divergences of a group."""

    kind = SeveralField(choices=Divergence.Kind.choices)
    verdict = OneOfField(choices=Divergence.PathVerdict.choices, initial="")
    below = DirectoryField()
    search = TextField()
    view = OneOfField(choices=[(view, view) for view in VIEWS], initial="")
    after = TokenField()
    moment = MomentField()

    def __init__(self, parameters: QueryDict) -> None:
        """Take the parameter `at`, too. The address is short, but a field is called what it holds: a position."""
        super().__init__(parameters)
        self.fields["at"] = PositionField()


@dataclass(frozen=True)
class DivergenceListQuery(TreeListQuery):
    """A page of the divergences of a group, as a list or as one directory of a tree."""

    form_class = DivergenceListForm

    kinds: tuple[str, ...] = parameter("kind", default=())
    verdict: str = ""
    position: str = parameter("at", default="")
    """The position of a replica: only what is wrong there."""
    view: str = ""
    """Empty: the tree, or the list where a search needs it."""
    moment: str = ""
    """As of when. Empty: now."""

    @property
    def filter(self) -> DivergenceFilter:
        """The divergences that are asked for."""
        return DivergenceFilter(self.kinds, self.verdict, int(self.position or 0), self.below, self.search)

    @property
    def is_tree(self) -> bool:
        """Directories are shown folded. A search, or a verdict other than damage, looks into all of them."""
        foldable = not self.search and self.verdict in ("", Divergence.PathVerdict.DAMAGED)
        return foldable and self.view != "list"

    @property
    def time(self) -> datetime | None:
        """The moment that is asked for. None: now."""
        return parse_moment(self.moment)

    @property
    def unfiltered_address(self) -> str:
        """The address of the same view without any filter."""
        return self.address(kinds=(), verdict="", position="", below="", search="", after="")

    def directory_address(self, directory: str) -> str:
        """Return the address of a directory in the tree, with the same filters."""
        return self.address(below=directory, after="", view="")


def filter_options(comparison: GroupComparison, list_query: DivergenceListQuery) -> list[FilterOption]:
    """Return the kinds and verdicts that occur, as filters."""
    options = []
    for kind in Divergence.Kind:
        number = comparison.counts.get(kind)
        if not number:
            continue

        kinds = toggle(list_query.kinds, kind.value, Divergence.Kind.values)
        option = FilterOption(
            value=kind.value,
            label=str(kind.label),
            number=number,
            is_selected=kind in list_query.kinds,
            address=list_query.address(kinds=kinds, after="", verdict=""),
            explanation=str(EXPLANATIONS[kind.value]),
        )
        options.append(option)

    # A verdict says which contents differ, so it replaces the choice of kinds.
    for verdict in Divergence.PathVerdict:
        number = comparison.counts.get(verdict)
        if not number:
            continue

        is_selected = list_query.verdict == verdict
        option = FilterOption(
            value=verdict.value,
            label=str(verdict.label),
            number=number,
            is_selected=is_selected,
            address=list_query.address(verdict="" if is_selected else verdict.value, after="", kinds=()),
            explanation=str(EXPLANATIONS[verdict.value]),
        )
        options.append(option)
    return options


def count_divergences(comparison: GroupComparison, kinds: Iterable[str] = tuple(Divergence.Kind.values)) -> int:
    """Return how many paths diverge."""
    return sum(comparison.counts.get(kind, 0) for kind in kinds)
