"""Make the process independent of what it was started in: closed standard streams, and the locale."""

from __future__ import annotations

import os
import sys
from typing import List, Optional, TextIO


def open_standard_streams() -> None:
    """Open each standard stream that is closed as /dev/null.

    Otherwise the first file that is opened would take its number, and get what a child prints.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken, and that is this one.
            os.open(os.devnull, os.O_RDWR)

    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = sys.stdout or _nowhere("w")
    sys.stderr = sys.stderr or _nowhere("w")


def _nowhere(mode: str) -> TextIO:
    return open(os.devnull, mode, encoding="utf-8")  # type: ignore[return-value]


def use_utf8() -> None:
    """Start Python anew in its UTF-8 mode where the locale says another encoding.

    Names on the command line are bytes, and those in the configuration and in patterns are UTF-8. A locale with another
    encoding, such as en_US.ISO-8859-1, would make other names of them. The mode cannot be changed later.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding().lower() in ("utf-8", "utf8"):
        return

    arguments = _command_line()
    if not sys.executable or arguments is None:
        return
    try:
        os.execv(sys.executable, [os.fsencode(sys.executable), b"-X", b"utf8", *arguments])
    except OSError:
        return


def _command_line() -> Optional[List[bytes]]:
    """Return the arguments with which this Python was started, as bytes, or None when they are not known."""
    try:
        with open("/proc/self/cmdline", "rb") as file:
            arguments = file.read().split(b"\0")[1:-1]
        if arguments:
            return arguments
    except OSError:
        pass  # not Linux

    # Python 3.10 and later.
    original_arguments: Optional[List[str]] = getattr(sys, "orig_argv", None)
    if not original_arguments:
        return None
    return [os.fsencode(argument) for argument in original_arguments[1:]]
