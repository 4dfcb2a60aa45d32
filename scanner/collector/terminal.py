"""What a person reads on a terminal or in a log: names that cannot command it, and sizes and times in short."""

from __future__ import annotations

from typing import Union

from scanner.format import paths

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def printable(name: Union[bytes, str]) -> str:
    """A name or text without control, format or bidirectional characters: those are shown by their code."""
    text = paths.encode(name) if isinstance(name, bytes) else name
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def size(count: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"


def duration(seconds: float) -> str:
    """Seconds as `12 s`, `3:07` or `2:03:07`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` characters, its middle left out."""
    if len(text) <= width:
        return text
    if width < 3:
        return text[: max(0, width)]
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
