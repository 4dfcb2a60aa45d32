"""Read the GET parameters of pages, and what a person enters about findings.

What a page is asked for is never an error: a value that means nothing counts as absent. Only `CompareRunsForm` refuses,
because a person typed its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from checker.changes.export import CONTENT_TYPES
from checker.pages.status import Status
from scanner.listing import ListQuery, NumberField, OneOfField, TextField, TokenField, parameter

MAX_PATH = 32_000
"""Characters of a path. No path of a report has more, not even in its coded form."""
MAX_RUN_NUMBER = 999_999_999


class PathField(TextField):
    """The path of a file, which may be longer than a text to search for."""

    def to_python(self, value: Any) -> str:
        """Return the path without NULs, which no stored path contains."""
        return str(value or "")[:MAX_PATH].replace("\0", "")


class QueryForm(forms.Form):
    """GET parameters of a page that is no list; lists have a `ListQuery`. Values that mean nothing count as absent."""

    def __init__(self, query: QueryDict) -> None:
        """Clean the parameters at once."""
        super().__init__(query)
        self.full_clean()

    def text(self, name: str) -> str:
        """Return a value as text; empty when it is absent or means nothing."""
        return str(self.cleaned_data.get(name) or "")


class NameField(TextField):
    """Part of a name."""

    def to_python(self, value: Any) -> str:
        """Return the text without spaces around it."""
        return super().to_python(value).strip()


class OverviewForm(forms.Form):
    """A filter of the overview by a part of a name and by status."""

    state = OneOfField(choices=Status.choices, initial="")
    name = NameField()


@dataclass(frozen=True)
class OverviewQuery(ListQuery):
    """The overview, or the replicas of it that match."""

    form_class = OverviewForm

    status: str = parameter("state", default="")
    name: str = ""


class RunningForm(QueryForm):
    """The key of the runs in progress when the fragment was last shown."""

    were = TokenField()


class RunListForm(forms.Form):
    """The number of the run before which a page of runs begins."""

    before = NumberField(min_value=0, max_value=MAX_RUN_NUMBER)


@dataclass(frozen=True)
class RunListQuery(ListQuery):
    """A page of the runs of a replica."""

    form_class = RunListForm

    before: int | None = None


class RunProgressForm(QueryForm):
    """The stage that a page of a run shows."""

    stage = TokenField()


class PathForm(QueryForm):
    """The path of a file."""

    path = PathField()


class PollForm(QueryForm):
    """A mark that a waiting page asks again."""

    poll = TokenField()


class DownloadForm(QueryForm):
    """The format of a download; empty when there is none of that name."""

    format = forms.ChoiceField(choices=[(name, name) for name in CONTENT_TYPES], required=False)


class CompareRunsForm(forms.Form):
    """The numbers of two runs of a replica."""

    def __init__(self, query: QueryDict) -> None:
        """Take the parameters `from` and `to`; the first is no name that a class could give to a field."""
        super().__init__(query)
        for name in ("from", "to"):
            self.fields[name] = forms.IntegerField(min_value=0, max_value=MAX_RUN_NUMBER)

    def clean(self) -> dict[str, Any]:
        """Refuse anything but two different numbers."""
        if self.errors:
            # One sentence for both fields: a person typed the two numbers side by side.
            self.errors.clear()
            raise forms.ValidationError(_("Enter the numbers of two runs."))
        if self.cleaned_data["from"] == self.cleaned_data["to"]:
            raise forms.ValidationError(_("Choose two different runs."))
        return self.cleaned_data

    def problem(self) -> str:
        """Return what is wrong, in one sentence."""
        return " ".join(str(error) for error in self.non_field_errors())


class ReasonForm(forms.Form):
    """The reason for an action."""

    reason = forms.CharField(
        label=_("Reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"})
    )


class ContentForm(ReasonForm):
    """A content of a path, and what a person says of it."""

    content = forms.RegexField(r"^[0-9a-f]{64}$")


class AcceptForm(ReasonForm):
    """The reason for an acceptance, and when it expires."""

    until = forms.DateField(
        label=_("Expires (empty: never)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date", "class": "form-control"}),
    )

    def expires_at(self) -> datetime | None:
        """Return the end of the chosen day; None for never."""
        day = self.cleaned_data["until"]
        if day is None:
            return None
        return timezone.make_aware(datetime.combine(day, time(23, 59, 59)))
