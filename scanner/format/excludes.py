r"""The one grammar of excludes: the collector applies it to what it walks, the server checks what is typed in.

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
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scanner.format.records import canonical

MAX_PATTERN = 4096
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
_DIRECTORIES = "(?:[^/]+/)*"


class _Token(NamedTuple):
    expression: str
    literal: str = ""
    """The character or characters that a token stands for, when it stands for itself."""


_STAR, _ANY, _DEEP = _Token("[^/]*"), _Token("[^/]"), _Token(".*")


class ExcludeError(ValueError):
    """A pattern that cannot be read; the text names the pattern and what is wrong with it."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(f"exclude pattern {pattern!r}: {reason}")
        self.pattern = pattern
        self.reason = reason


class Excludes:
    """A set of patterns, compiled once."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns: tuple[str, ...] = tuple(patterns)
        alternatives = "|".join(_expression(pattern) for pattern in self.patterns)
        self._match = re.compile(alternatives, re.DOTALL).fullmatch if self.patterns else None

    def matches(self, path: bytes, is_dir: bool) -> bool:
        """Whether `path`, relative to the root, is excluded by itself or with a directory above it."""
        if self._match is None:
            return False
        text = path.decode("utf-8", "surrogateescape")
        return self._match(text + "/" if is_dir else text) is not None


def parse(text: str) -> Excludes:
    """The excludes of a text with one pattern a line; empty lines and lines that begin with `#` say nothing.

    White space around a pattern is dropped; a backslash keeps it.
    """
    return Excludes(pattern for pattern in map(_strip, text.splitlines()) if pattern and not pattern.startswith("#"))


def _strip(line: str) -> str:
    line = line.lstrip()
    bare = line.rstrip()
    escaped = (len(bare) - len(bare.rstrip("\\"))) % 2
    return line[: len(bare) + 1] if escaped else bare


def _expression(pattern: str) -> str:
    """A regular expression for a path's text, to which a directory adds a final `/`."""
    if len(pattern) > MAX_PATTERN:
        raise ExcludeError(pattern[:40] + "…", f"longer than {MAX_PATTERN} characters")
    parts = _parts(pattern)
    only_directories = len(parts) > 1 and not parts[-1]
    if only_directories:
        parts.pop()
    anchored = len(parts) > 1
    if anchored and not parts[0]:
        parts.pop(0)
    _refuse_impossible(pattern, parts)
    parts = [part for part, following in zip(parts, [*parts[1:], []]) if not part == following == [_DEEP]]
    rendered = [_part(part, last=number == len(parts)) for number, part in enumerate(parts, 1)]
    return f"(?:{'' if anchored else _DIRECTORIES}{''.join(rendered)}{'/.*' if only_directories else '(?:/.*)?'})"


def _part(tokens: list[_Token], *, last: bool) -> str:
    if tokens == [_DEEP]:
        return ".+" if last else _DIRECTORIES
    return "".join(token.expression for token in tokens) + ("" if last else "/")


def _refuse_impossible(pattern: str, parts: list[list[_Token]]) -> None:
    for part in parts:
        text = "".join(token.literal or "*" for token in part)
        if text in ("", ".", ".."):
            raise ExcludeError(pattern, f"no path has a part {text!r}")
        if "\0" in text:
            raise ExcludeError(pattern, "no path has a NUL")


def _parts(pattern: str) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    for token in _joined(_tokens(pattern)):
        if token.literal == "/":
            parts.append([])
        elif not (token in (_DEEP, _STAR) and parts[-1][-1:] == [token]):  # a run of stars backtracks without end
            parts[-1].append(token)
    return parts


def _joined(tokens: Iterable[_Token]) -> Iterator[_Token]:
    """Bytes named one by one become the character that they spell, as in the decoded path."""
    run = ""
    for token in tokens:
        if token.literal and token.literal != "/":
            run += token.literal
            continue
        yield from _literals(run)
        run = ""
        yield token
    yield from _literals(run)


def _literals(run: str) -> Iterator[_Token]:
    if run:
        text = run.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        yield _Token(re.escape(text), text)


def _tokens(pattern: str) -> Iterator[_Token]:
    at = 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            token, at = _DEEP, at + 2
        elif pattern[at] == "[":
            token, at = _set(pattern, at + 1)
        elif pattern[at] in "*?":
            token, at = (_STAR if pattern[at] == "*" else _ANY), at + 1
        else:
            literal, at = _character(pattern, at)
            token = _Token("", literal)
        yield token


def _character(pattern: str, at: int) -> tuple[str, int]:
    """The character that stands at `at`, and where the next one begins."""
    char = pattern[at]
    if "\ud800" <= char <= "\udfff":
        raise ExcludeError(pattern, "a lone surrogate is no character")
    if char != "\\":
        return char, at + 1
    if at + 1 == len(pattern):
        raise ExcludeError(pattern, "ends in a backslash that escapes nothing")
    if pattern[at + 1] != "x":
        return pattern[at + 1], at + 2
    found = _HEX.match(pattern, at + 2)
    if not found:
        raise ExcludeError(pattern, "\\x needs two hexadecimal digits")
    return bytes([int(found[0], 16)]).decode("utf-8", "surrogateescape"), at + 4


def _set(pattern: str, at: int) -> tuple[_Token, int]:
    """The token of a set whose first character stands at `at`, and where the pattern goes on."""
    negated = pattern.startswith("!", at)
    start = at = at + negated
    members: list[str] = []
    while at == start or not pattern.startswith("]", at):
        if at >= len(pattern):
            raise ExcludeError(pattern, "a [ without its ]")
        low, at = _character(pattern, at)
        high = low
        if pattern.startswith("-", at) and at + 1 < len(pattern) and pattern[at + 1] != "]":
            high, at = _character(pattern, at + 1)
        if low > high:
            raise ExcludeError(pattern, f"the range {low}-{high} is empty")
        if "/" in (low, high):
            raise ExcludeError(pattern, "a set never matches /")
        members.append(f"{re.escape(low)}-{re.escape(high)}")
    return _Token(f"(?!/)[{'^' if negated else ''}{''.join(members)}]"), at + 1


def scope_digest(patterns: Iterable[str], cross_mounts: bool) -> str:
    """SHA3-512, in hex, of all that changes which paths are read, and of nothing else: a statement's `config`."""
    scope = {"excludes": list(patterns), "cross_mounts": cross_mounts}
    return hashlib.sha3_512(canonical(scope).encode("utf-8", "surrogatepass")).hexdigest()
