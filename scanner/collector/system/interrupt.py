"""What a signal does: an exception in the main thread, so that everything is put away; and an end by force when that
hangs."""

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
"""Seconds to put things away. Nothing durable depends on it: a kill at any instant leaves all consistent."""
EXIT = 2

received: Optional[int] = None
"""The signal that asked for the end, if any."""


def install() -> None:
    """Let each of SIGNALS end the collector."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP, and means it
            signal.signal(number, _on_signal)


def _on_signal(number: int, _frame: Optional[FrameType]) -> None:
    global received
    if received is not None:
        return
    received = number
    timer = threading.Timer(GRACE, _force)
    timer.daemon = True
    timer.start()
    check()


def pending() -> bool:
    """Whether a signal came. Being Python code, the call also lets the signal's handler run."""
    return received is not None


def check() -> None:
    """Raise Interrupted if a signal came whose exception was lost in somebody's callback."""
    if received is not None:
        raise Interrupted(f"ended by {signal.Signals(received).name}")


def _force() -> None:
    sys.stderr.write("\nsomething hangs: ended by force\n")
    sys.stderr.flush()
    os._exit(EXIT)
