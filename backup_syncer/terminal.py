"""Write to the person at the terminal: each step with the time since the start, results, and the one error line."""

from __future__ import annotations

import sys
import time


class Progress:
    """Progress lines on stderr, so that stdout holds results alone."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def say(self, message: str) -> None:
        """Write one line with the seconds since the start."""
        elapsed = time.monotonic() - self.started
        sys.stderr.write(f"{elapsed:7.1f} s  {message}\n")
        sys.stderr.flush()


def result(line: str) -> None:
    """Write one line to stdout and flush it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """Write the one line that says why a command did not do its work."""
    sys.stderr.write(f"backup-syncer: {line}\n")
    sys.stderr.flush()
