"""Define the exit codes that every command shares."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Result of a command. Cron jobs and monitoring rely on the numbers."""

    OK = 0
    PARTIAL = 1
    """The command did its work, but part of the result is bad: unread files, queued reports, a broken report."""
    NOT_DONE = 2
    """The command could not do its work, not deliver its reports, or not check a signature."""
