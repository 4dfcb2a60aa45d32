"""Print messages and JSON, and format names, sizes and durations for a person at a terminal or in a log."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, TextIO, Union

from scanner.collector.errors import OutputError
from scanner.format import paths

_SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SHORTEST_WITH_ELLIPSIS = 3


def print_message(text: str) -> None:
    """Print one line for a person to stderr. A line that cannot be printed is lost: no run depends on it."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        # The disk of the log is full, or its reader is gone. What waits in the buffer would fail once more at the end.
        sys.stderr = _nowhere()


def print_json(members: Dict[str, Any]) -> None:
    """Print one JSON object for a program to stdout. Raise OutputError when nobody can read it."""
    try:
        sys.stdout.write(json.dumps(members) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        sys.stdout = _nowhere()
        raise OutputError(f"cannot write to standard output: {error}") from error


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def printable(name: Union[bytes, str]) -> str:
    r"""Return a name or text with control, format and bidirectional characters replaced by their codes.

    A file name could otherwise send escape sequences to the terminal, or reverse the direction of a line.
    """
    text = paths.encode(name) if isinstance(name, bytes) else name
    if text.isprintable():
        return text
    return "".join(_printable_character(character) for character in text)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _printable_character(character: str) -> str:
    if character.isprintable():
        return character

    code_point = ord(character)
    if code_point < 0x10000:
        return f"\\u{code_point:04x}"
    return f"\\U{code_point:08x}"


def size(count: float) -> str:
    """Return a number of bytes in a readable unit, such as `1.5 GiB`."""
    if count < 1024:
        return f"{count:.0f} B"

    for unit in _SIZE_UNITS[1:-1]:
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"

    return f"{count / 1024:.1f} {_SIZE_UNITS[-1]}"


def duration(seconds: float) -> str:
    """Return a duration as `12 s`, `3:07` or `2:03:07`."""
    whole_seconds = int(seconds)
    if whole_seconds < 60:
        return f"{whole_seconds} s"

    minutes, seconds_left = divmod(whole_seconds, 60)
    if minutes < 60:
        return f"{minutes}:{seconds_left:02d}"

    hours, minutes_left = divmod(minutes, 60)
    return f"{hours}:{minutes_left:02d}:{seconds_left:02d}"


def shortened(text: str, width: int) -> str:
    """Return `text` in at most `width` characters. A text that is too long loses its middle."""
    if len(text) <= width:
        return text
    if width < _SHORTEST_WITH_ELLIPSIS:
        return text[: max(0, width)]

    head_length = (width - 1) // 2
    tail_length = width - 1 - head_length
    return f"{text[:head_length]}…{text[len(text) - tail_length :]}"
