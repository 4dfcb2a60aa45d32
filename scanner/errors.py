"""What the receiving half answers when it does not take something: one exception per code of the API.

Knows nothing of HTTP but the status that belongs to a code, so that a command can print what a view would send.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """Base of all refusals: `code` and `status` as the API has them, `detail` one English sentence, `extra` members."""

    code = "error"
    status = 500

    def __init__(self, detail: str, *, retry_after: int | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail, self.extra, self.retry_after = detail, extra, retry_after

    def body(self) -> dict[str, Any]:
        """The members of the JSON answer."""
        return {"error": self.code, "detail": self.detail, **self.extra}


class Malformed(Refusal):
    """Not what the format or the API allows; nothing of it is signed or known."""

    code, status = "malformed", 400


class Unauthorised(Refusal):
    """No token, or none that is good."""

    code, status = "unauthorised", 401


class Forbidden(Refusal):
    """Signed or sent by somebody who may not say this."""

    code, status = "forbidden", 403


class NotFound(Refusal):
    """No such address."""

    code, status = "not_found", 404


class NotAllowed(Refusal):
    """The address knows no such method."""

    code, status = "not_allowed", 405


class Incomplete(Refusal):
    """The body stalled, was cut short or damaged on its way; nothing is recorded, sending it again may help."""

    code, status = "incomplete", 408


class Gap(Refusal):
    """Statements are missing before this one, or it follows another one than the newest here."""

    code, status = "gap", 409


class Stale(Refusal):
    """Older than the newest run, and not known here."""

    code, status = "stale", 409


class Equivocates(Refusal):
    """Another statement has this sequence."""

    code, status = "equivocation", 409


class TooLarge(Refusal):
    """More bytes than the address takes."""

    code, status = "too_large", 413


class Unsupported(Refusal):
    """A media type or a coding that is not known here."""

    code, status = "unsupported", 415


class Refused(Refusal):
    """For good. `recorded`: whether the statement has its place in the chain all the same."""

    code, status = "refused", 422

    def __init__(self, detail: str, *, recorded: bool, sequence: int | None = None) -> None:
        super().__init__(detail, recorded=recorded, sequence=sequence)


class Quota(Refusal):
    """The caller has used up what it may use in this time."""

    code, status = "quota", 429


class Busy(Refusal):
    """The central server cannot take it now."""

    code, status = "busy", 503
