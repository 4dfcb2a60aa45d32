"""Turn a signal into an exception in the main thread, so that everything is cleaned up, and end by force if that hangs.

An exception that a signal's handler raises may be swallowed, when it happens to run inside a callback of SQLite, say.
Long loops therefore call `raise_if_interrupted`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Optional

from scanner.collector.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GRACE = 4.0
"""Seconds for the clean-up. Nothing durable depends on it: a kill at any moment leaves everything consistent."""
EXIT_CODE = 2

received: Optional[int] = None
"""Number of the first signal that came, if any."""


def install_handlers() -> None:
    """Let each of SIGNALS end the collector."""
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            # nohup(1) ignores SIGHUP on purpose.
            continue
        signal.signal(number, _on_signal)


def _on_signal(number: int, _frame: Optional[FrameType]) -> None:
    global received
    if received is not None:
        return

    # os._exit() from another thread works even when the main thread hangs in a system call.
    received = number
    timer = threading.Timer(GRACE, _exit_by_force)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:
        # The system starts no thread. SIGALRM, which nobody handles, ends the process as well.
        signal.alarm(int(GRACE))
    raise_if_interrupted()


def is_interrupted() -> bool:
    """Return whether a signal came. Being Python code, the call also lets the signal's handler run."""
    return received is not None


def raise_if_interrupted() -> None:
    """Raise Interrupted if a signal came."""
    if received is not None:
        raise Interrupted(f"ended by {signal.Signals(received).name}")


def _exit_by_force() -> None:
    try:
        sys.stderr.write("\nsomething hangs: ended by force\n")
        sys.stderr.flush()
    finally:
        os._exit(EXIT_CODE)
