"""What a verification says: one check after the other, each in words that can be said in another language later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext

from scanner.models import Run


class Check(NamedTuple):
    """One thing that holds or does not. `message` is an English text for gettext, `values` what it names."""

    name: str
    ok: bool
    message: str
    values: Mapping[str, Any] = {}

    @property
    def text(self) -> str:
        """The message in the language of now."""
        return gettext(self.message) % self.values if self.values else gettext(self.message)

    def to_json(self) -> dict[str, Any]:
        """As it is kept in a proof and printed as JSON."""
        return {
            "check": self.name, "ok": self.ok, "text": self.text, "message": self.message, "values": dict(self.values)
        }  # fmt: skip


class Verification(NamedTuple):
    """All that a verification found out of a run. Proven means: all holds."""

    run: Run
    checks: tuple[Check, ...]
    duration_ns: int

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return all(check.ok for check in self.checks)
