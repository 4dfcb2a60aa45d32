"""Start children that do not outlive the process that started them, where the system can do that (Linux)."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the signal that a process gets when its parent dies."""


def die_with_parent(signal_number: int) -> Callable[[], None] | None:
    """Return a `preexec_fn` that has the kernel send this signal to the child when the thread that made it ends.

    None where the system has no such option; there a left-over child is found at the next start. It must run after the
    child's user was changed, as `subprocess` does, since that change clears the setting.
    """
    if sys.platform != "linux":
        return None

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def request_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the kernel knew
            os.kill(os.getpid(), signal_number)

    return request_signal
