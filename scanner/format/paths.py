r"""Code a name, which is bytes, as text that a report and a database can carry, and decode it.

UTF-8 stays text. Any other byte becomes `\xhh` in lower case, a backslash becomes two. Nothing is normalised and
nothing is case-folded, so two names that differ in one byte stay two names.
"""

from __future__ import annotations

import re

from scanner.format.errors import PathError

_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})?")
_PLAIN_RELATIVE_PATH = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/\0\\\ud800-\udfff]+(?:/(?!\Z)|\Z))+\Z")
"""A relative path that needs no decoding: no empty, `.` or `..` part, no NUL, no backslash, no surrogate."""


def encode(name: bytes) -> str:
    """Return the coded form of a name or path. Every byte string has exactly one."""
    return name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def decode(text: str) -> bytes:
    """Return the bytes of a coded name.

    Raise PathError when `text` is not what `encode` makes of these bytes: a lone backslash, upper-case hex, an escape
    for a byte that needs none, a surrogate.
    """
    if "\\" not in text:
        return _encode_utf8(text)

    # Some escapes decode to a name that has another, shorter code, such as \x41 for A.
    name = _ESCAPE.sub(_unescape, _encode_utf8(text))
    if encode(name) != text:
        raise PathError(f"not a canonical name: {text[:200]!r}")
    return name


def check(path: str) -> None:
    """Raise PathError unless `path` is the coded form of a relative path: no empty, `.` or `..` part and no NUL."""
    # Most paths pass here, without being decoded.
    if _PLAIN_RELATIVE_PATH.match(path):
        return

    parts = decode(path).split(b"/")
    if not all(parts) or b"." in parts or b".." in parts or "\0" in path:
        raise PathError(f"not a relative path: {path[:200]!r}")


def _encode_utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise PathError(f"not Unicode text: {text[:200]!r}") from error


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    if code is None:
        raise PathError(f"a backslash that escapes nothing: {match.string[:200]!r}")
    if code == b"\\":
        return b"\\"
    return bytes.fromhex(code[1:].decode())
