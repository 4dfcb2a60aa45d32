"""Define what can be wrong with a report, a path, a pattern or a key."""

from __future__ import annotations


class FormatError(Exception):
    """Base of all errors of this package."""


class PathError(FormatError, ValueError):
    """The text is not the coded form of a path."""


class RecordError(FormatError, ValueError):
    """A line, or the lines together, are not what a report may hold."""


class ReportError(FormatError, ValueError):
    """An envelope or a statement is not what the format allows."""


class ExcludeError(FormatError, ValueError):
    """A pattern cannot be read. The message names the pattern and what is wrong with it."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(f"exclude pattern {pattern!r}: {reason}")
        self.pattern = pattern
        self.reason = reason


class SigningError(FormatError):
    """A key cannot be made, read or used."""
