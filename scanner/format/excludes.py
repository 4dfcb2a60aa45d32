r"""Match paths against exclude patterns: the collector leaves out what matches, the server checks what is typed in.

A pattern is text, one a line:

- `*` is any run of characters and `?` one character, `/` excepted; `**` is any run, `/` included;
  `**/` is any number of directories, also none;
- `[abc]`, `[a-z]`, `[!a-z]` is one character of a set or not of it, never `/`; a first `]` stands for itself;
- `\` takes the next character as it is, `\xhh` names a byte;
- a pattern without `/` matches the last part of a path anywhere; one with `/` (a leading one serves) is anchored at
  the root;
- a trailing `/` matches directories alone.

What lies below a matched directory is matched as well. A name is matched character by character where it is UTF-8 and
byte by byte where it is not. Nothing is normalised and nothing is case-folded.

A pattern becomes one regular expression: the pattern is read into tokens, tokens are grouped into the parts between
slashes, and each part is rendered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scanner.format.canonical_json import canonical_json
from scanner.format.errors import ExcludeError

MAX_PATTERN_LENGTH = 4096
"""Characters: as many as a path has bytes on Linux."""

_HEX_BYTE = re.compile(r"[0-9A-Fa-f]{2}")
_ANY_DIRECTORIES = "(?:[^/]+/)*"


class _Token(NamedTuple):
    expression: str
    """The regular expression that the token becomes."""
    literal: str = ""
    """The text that the token matches, when it matches only itself."""


class _TokenEnd(NamedTuple):
    token: _Token
    end: int
    """Offset of what follows the token in the pattern."""


class _CharacterEnd(NamedTuple):
    character: str
    end: int
    """Offset of what follows the character in the pattern."""


_STAR = _Token("[^/]*")
_QUESTION_MARK = _Token("[^/]")
_DOUBLE_STAR = _Token(".*")

_Part = list[_Token]
"""The tokens between two slashes."""


class Excludes:
    """A set of patterns, compiled once."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raise ExcludeError for a pattern that cannot be read."""
        self.patterns: tuple[str, ...] = tuple(patterns)
        self._expression: re.Pattern[str] | None = None
        if self.patterns:
            alternatives = "|".join(_compile_pattern(pattern) for pattern in self.patterns)
            # DOTALL: a name may hold a newline.
            self._expression = re.compile(alternatives, re.DOTALL)

    def matches(self, path: bytes, is_dir: bool) -> bool:
        """Return whether `path`, relative to the root, is excluded, either itself or with a directory above it."""
        if self._expression is None:
            return False

        # Bytes that are not UTF-8 become lone surrogates, one for each.
        text = path.decode("utf-8", "surrogateescape")
        if is_dir:
            text += "/"
        return self._expression.fullmatch(text) is not None


def parse_excludes(text: str) -> Excludes:
    """Return the excludes of a text with one pattern a line. Empty lines and lines that begin with `#` are skipped.

    White space around a pattern is dropped; a backslash keeps it.
    """
    patterns = (_strip_line(line) for line in text.splitlines())
    return Excludes(pattern for pattern in patterns if pattern and not pattern.startswith("#"))


def scope_digest(patterns: Iterable[str], cross_mounts: bool) -> str:
    """Return the SHA3-512, in hex, of what changes which paths are read, and of nothing else.

    The statement carries it as `config`: runs with different digests do not cover the same paths.
    """
    scope = {"excludes": list(patterns), "cross_mounts": cross_mounts}
    return hashlib.sha3_512(canonical_json(scope).encode("utf-8", "surrogatepass")).hexdigest()


def _strip_line(line: str) -> str:
    line = line.lstrip()
    stripped = line.rstrip()
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    # An odd number of backslashes: the last one escapes the white space behind it.
    if backslashes % 2:
        return line[: len(stripped) + 1]
    return stripped


def _compile_pattern(pattern: str) -> str:
    """Return a regular expression for the text of a path, to which a directory adds a final `/`."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ExcludeError(pattern[:40] + "…", f"longer than {MAX_PATTERN_LENGTH} characters")

    # A trailing slash leaves an empty last part, a leading one an empty first part.
    parts = _split_into_parts(pattern)
    only_directories = len(parts) > 1 and not parts[-1]
    if only_directories:
        parts.pop()

    anchored = len(parts) > 1
    if anchored and not parts[0]:
        parts.pop(0)
    _refuse_impossible_parts(pattern, parts)

    *directories, last = _merge_double_stars(parts)
    start = _ANY_DIRECTORIES
    if anchored:
        start = ""
    above = "".join(_render_directory(part) for part in directories)

    # What is below a matched directory is matched as well.
    end = "(?:/.*)?"
    if only_directories:
        end = "/.*"
    return f"(?:{start}{above}{_render_last(last)}{end})"


def _merge_double_stars(parts: list[_Part]) -> list[_Part]:
    """Return the parts without a `**` that another `**` follows: a run of them would backtrack without end."""
    merged: list[_Part] = []
    for part in parts:
        if part == [_DOUBLE_STAR] and merged[-1:] == [part]:
            continue
        merged.append(part)
    return merged


def _render_directory(part: _Part) -> str:
    if part == [_DOUBLE_STAR]:
        return _ANY_DIRECTORIES
    return _expression(part) + "/"


def _render_last(part: _Part) -> str:
    if part == [_DOUBLE_STAR]:
        return ".+"
    return _expression(part)


def _expression(part: _Part) -> str:
    return "".join(token.expression for token in part)


def _refuse_impossible_parts(pattern: str, parts: list[_Part]) -> None:
    for part in parts:
        text = "".join(token.literal or "*" for token in part)
        if text in ("", ".", ".."):
            raise ExcludeError(pattern, f"no path has a part {text!r}")
        if "\0" in text:
            raise ExcludeError(pattern, "no path has a NUL")


def _split_into_parts(pattern: str) -> list[_Part]:
    parts: list[_Part] = [[]]
    for token in _join_literals(_read_tokens(pattern)):
        if token.literal == "/":
            parts.append([])
        elif token in (_DOUBLE_STAR, _STAR) and parts[-1][-1:] == [token]:
            # A run of stars matches what one star matches, but would backtrack without end.
            continue
        else:
            parts[-1].append(token)
    return parts


def _join_literals(tokens: Iterable[_Token]) -> Iterator[_Token]:
    """Yield the tokens with neighbouring literals joined.

    Bytes that were named one by one become the character that they spell, as they do in the decoded path.
    """
    literal = ""
    for token in tokens:
        if token.literal and token.literal != "/":
            literal += token.literal
            continue
        if literal:
            yield _literal_token(literal)
            literal = ""
        yield token
    if literal:
        yield _literal_token(literal)


def _literal_token(literal: str) -> _Token:
    text = literal.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _Token(re.escape(text), text)


def _read_tokens(pattern: str) -> Iterator[_Token]:
    offset = 0
    while offset < len(pattern):
        token, offset = _read_token(pattern, offset)
        yield token


def _read_token(pattern: str, offset: int) -> _TokenEnd:
    if pattern.startswith("**", offset):
        return _TokenEnd(_DOUBLE_STAR, offset + 2)
    if pattern[offset] == "*":
        return _TokenEnd(_STAR, offset + 1)
    if pattern[offset] == "?":
        return _TokenEnd(_QUESTION_MARK, offset + 1)
    if pattern[offset] == "[":
        return _read_set(pattern, offset + 1)

    character, end = _read_character(pattern, offset)
    return _TokenEnd(_Token("", character), end)


def _read_character(pattern: str, offset: int) -> _CharacterEnd:
    """Read one character, which may be escaped."""
    character = pattern[offset]
    if "\ud800" <= character <= "\udfff":
        raise ExcludeError(pattern, "a lone surrogate is not a character")
    if character != "\\":
        return _CharacterEnd(character, offset + 1)
    if offset + 1 == len(pattern):
        raise ExcludeError(pattern, "ends in a backslash that escapes nothing")
    if pattern[offset + 1] != "x":
        return _CharacterEnd(pattern[offset + 1], offset + 2)

    digits = _HEX_BYTE.match(pattern, offset + 2)
    if not digits:
        raise ExcludeError(pattern, "\\x needs two hexadecimal digits")
    byte = bytes([int(digits[0], 16)])
    return _CharacterEnd(byte.decode("utf-8", "surrogateescape"), offset + 4)


def _read_set(pattern: str, offset: int) -> _TokenEnd:
    """Read a set, whose first character is at `offset`."""
    caret = ""
    if pattern.startswith("!", offset):
        caret = "^"
        offset += 1

    start = offset
    members: list[str] = []
    # A ] that comes first is a member and does not end the set.
    while offset == start or not pattern.startswith("]", offset):
        if offset >= len(pattern):
            raise ExcludeError(pattern, "a [ without its ]")
        low, offset = _read_character(pattern, offset)
        high = low
        if pattern.startswith("-", offset) and offset + 1 < len(pattern) and pattern[offset + 1] != "]":
            high, offset = _read_character(pattern, offset + 1)
        if low > high:
            raise ExcludeError(pattern, f"the range {low}-{high} is empty")
        if "/" in (low, high):
            raise ExcludeError(pattern, "a set never matches /")
        members.append(f"{re.escape(low)}-{re.escape(high)}")

    # Neither a negated set nor a range such as [+-9] may match a slash.
    return _TokenEnd(_Token(f"(?!/)[{caret}{''.join(members)}]"), offset + 1)
