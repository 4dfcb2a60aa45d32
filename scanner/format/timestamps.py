"""Write and read times as the statement has them: UTC, ISO 8601, microseconds."""

from __future__ import annotations

from datetime import datetime, timezone

from scanner.format.errors import ReportError

_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


def format_timestamp(seconds: float) -> str:
    """Return seconds since 1970 as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime(_FORM)


def parse_timestamp(text: str) -> datetime:
    """Return the moment that a time of the statement names. Raise ReportError for a time that does not exist."""
    try:
        return datetime.strptime(text, _FORM).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise ReportError(f"no such time: {text[:40]}") from error
