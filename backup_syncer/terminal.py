"""What the person at the terminal sees: each step with the time since the start."""

from __future__ import annotations

import sys
import time


class Progress:
    """Lines on stderr, so that stdout holds results alone."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def say(self, what: str) -> None:
        """One line."""
        sys.stderr.write(f"{time.monotonic() - self.began:7.1f} s  {what}\n")
        sys.stderr.flush()


def result(line: str) -> None:
    """One line on stdout, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """The one line that says why it was not done."""
    sys.stderr.write(f"backup-syncer: {line}\n")
    sys.stderr.flush()
