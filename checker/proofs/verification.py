"""Hold the outcome of a verification: one check after the other, in words that can be translated later."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from django.utils.translation import gettext

from scanner.models import Run


class Outcome(StrEnum):
    """Outcome of a verification."""

    PROVEN = "proven"
    NOT_PROVEN = "not proven"
    REFUSED = "refused"
    """The central server refused the report. Statement, chain and journal hold; there are no records to prove."""
    WAITING = "waiting"
    """The report has arrived and is not ingested yet. Statement, chain and journal hold."""


_WITHOUT_RECORDS = {Run.State.REFUSED: Outcome.REFUSED, Run.State.RECEIVED: Outcome.WAITING}


class Check(NamedTuple):
    """Something that holds or does not."""

    name: str
    ok: bool
    message: str
    """An English text for gettext."""
    values: Mapping[str, Any] = {}
    """What the message names."""

    @property
    def text(self) -> str:
        """Return the message in the language of the reader."""
        message = gettext(self.message)
        # Without values it may hold a percent sign of its own.
        if not self.values:
            return message
        return message % self.values

    def to_json(self) -> dict[str, Any]:
        """Return the check as it is stored in a proof and printed as JSON."""
        return {
            "check": self.name,
            "ok": self.ok,
            "text": self.text,
            "message": self.message,
            "values": dict(self.values),
        }


class Verification(NamedTuple):
    """All checks of a run. The run is proven when all of them hold."""

    run: Run
    checks: tuple[Check, ...]
    duration_ns: int

    @property
    def ok(self) -> bool:
        """Return whether all checks hold."""
        return all(check.ok for check in self.checks)

    @property
    def outcome(self) -> Outcome:
        """Return the outcome. A run without records is a fault only when something else is wrong with it."""
        if self.ok:
            return Outcome.PROVEN
        if all(check.ok for check in self.checks if check.name != "records"):
            return _WITHOUT_RECORDS.get(Run.State(self.run.state), Outcome.NOT_PROVEN)
        return Outcome.NOT_PROVEN
