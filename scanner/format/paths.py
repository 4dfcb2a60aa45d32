r"""How a name, which is bytes, becomes text that a report and a database can carry, and back.

What is UTF-8 stays text, any other byte becomes `\xhh` in lower case, a backslash becomes two. Nothing is normalised
and nothing is case-folded, so two names that differ in one byte stay two names.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})?")
_PLAIN = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/\0\\\ud800-\udfff]+(?:/(?!\Z)|\Z))+\Z")


class PathError(ValueError):
    """The text is not the coded form of a path."""


def encode(name: bytes) -> str:
    """The coded form of any name or path; every byte string has exactly one."""
    return name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def decode(text: str) -> bytes:
    """The bytes behind a coded name.

    Raises PathError when `text` is not what `encode` makes of them (a lone backslash, upper-case hex, an escape for a
    byte that needs none, a surrogate).
    """
    if "\\" not in text:
        return _utf8(text)
    name = _ESCAPE.sub(_unescape, _utf8(text))
    if encode(name) != text:
        raise PathError(f"not a canonical name: {text[:200]!r}")
    return name


def check(path: str) -> None:
    """Raise PathError unless `path` is the coded form of a relative path: no empty, `.` or `..` part and no NUL."""
    if _PLAIN.match(path):
        return
    parts = decode(path).split(b"/")
    if not all(parts) or b"." in parts or b".." in parts or "\0" in path:
        raise PathError(f"not a relative path: {path[:200]!r}")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise PathError(f"not Unicode text: {text[:200]!r}") from error


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    if code is None:
        raise PathError(f"a backslash that escapes nothing: {match.string[:200]!r}")
    return b"\\" if code == b"\\" else bytes.fromhex(code[1:].decode())
