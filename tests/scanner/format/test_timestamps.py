"""A time of a statement has one form."""

from __future__ import annotations

import pytest

from scanner.format.errors import ReportError
from scanner.format.timestamps import format_timestamp, parse_timestamp


def test_timestamps() -> None:
    """Times have microseconds and are UTC."""
    assert format_timestamp(1.5) == "1970-01-01T00:00:01.500000Z"
    assert parse_timestamp("2026-01-02T03:04:05.000006Z").microsecond == 6


def test_time_that_does_not_exist() -> None:
    """A time that no calendar has is refused."""
    with pytest.raises(ReportError):
        parse_timestamp("2026-13-02T03:04:05.000006Z")
