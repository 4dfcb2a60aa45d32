"""Define the exceptions of the package: of the tables, of files that people bring or take, and refusals of the API.

A refusal knows nothing of HTTP but the status that belongs to its code, so that a command can print what a view would
send. Exceptions of `scanner.format` are in that directory, which also runs on the servers.
"""

from __future__ import annotations

from typing import Any


class ScannerError(Exception):
    """Base of the package's own exceptions."""


class StoreError(ScannerError):
    """Base of what can go wrong in the tables."""


class RetryableError(StoreError):
    """It cannot be done now; another attempt may succeed."""


class PermanentError(StoreError):
    """It cannot be done, now or later."""


class StatementCancelled(StoreError):
    """A statement took longer than workers may take for one, or an administrator cancelled it."""


class SweepFailed(StoreError):
    """Some of the items that waited could not be worked on; the others were."""


class RefusedTask(ScannerError, ValueError):
    """A call for the task cluster is not one of a listed function; the message says why."""


class ClosedTable(ScannerError):
    """A table that must not be read was asked for."""


class BodyError(ScannerError, ValueError):
    """The bytes of a report are not what was announced; the message says what is wrong with them."""


class LegacyFormatError(ScannerError, ValueError):
    """A document is not in the project's first format, or its values are impossible."""


class InvalidPageToken(ScannerError, ValueError):
    """A parameter that asks for the next page is not a token that a page gave."""


class ExportError(ScannerError):
    """A run cannot be exported; the message says why."""


class ImportFailed(ScannerError):
    """A file is not imported, for the reason in the message; nothing of it is stored."""


class UnreadableFile(ImportFailed):
    """The operating system does not let the file be read."""


# The docstrings of refusals are part of the API's OpenAPI document (`scanner.api.schema`).


class Refusal(ScannerError):
    """Base of all refusals: `code` and `status` as the API has them, `detail` one English sentence, `extra` members."""

    code = "error"
    status = 500

    def __init__(self, detail: str, *, retry_after: int | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra
        self.retry_after = retry_after
        """Seconds after which the sender may try again."""

    def body(self) -> dict[str, Any]:
        """Return the members of the JSON response."""
        return {"error": self.code, "detail": self.detail, **self.extra}


class Malformed(Refusal):
    """Not what the format or the API allows; nothing of it is signed or known."""

    code = "malformed"
    status = 400


class Unauthorised(Refusal):
    """No token, or none that is good."""

    code = "unauthorised"
    status = 401


class Forbidden(Refusal):
    """Signed or sent by somebody who may not say this."""

    code = "forbidden"
    status = 403


class NotFound(Refusal):
    """No such address."""

    code = "not_found"
    status = 404


class MethodNotAllowed(Refusal):
    """The address knows no such method."""

    code = "not_allowed"
    status = 405


class Incomplete(Refusal):
    """The body stalled, was cut short or damaged on its way; nothing is recorded, sending it again may help."""

    code = "incomplete"
    status = 408


class ChainGap(Refusal):
    """Statements are missing before this one, or it follows another one than the newest here."""

    code = "gap"
    status = 409


class StaleStatement(Refusal):
    """Older than the newest run, and not known here."""

    code = "stale"
    status = 409


class ConflictingStatement(Refusal):
    """Another statement has this sequence."""

    code = "equivocation"
    status = 409


class TooLarge(Refusal):
    """More bytes than the address takes."""

    code = "too_large"
    status = 413


class UnsupportedMedia(Refusal):
    """A media type or a coding that is not known here."""

    code = "unsupported"
    status = 415


class FinalRefusal(Refusal):
    """For good. `recorded`: whether the statement has its place in the chain all the same."""

    code = "refused"
    status = 422

    def __init__(self, detail: str, *, recorded: bool, sequence: int | None = None) -> None:
        super().__init__(detail, recorded=recorded, sequence=sequence)


class QuotaExceeded(Refusal):
    """The caller has used up what it may use in this time."""

    code = "quota"
    status = 429


class Busy(Refusal):
    """The central server cannot take it now."""

    code = "busy"
    status = 503
