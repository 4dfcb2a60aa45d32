"""Match exclude patterns by regular expressions: simple, but too slow for some patterns, so an oracle for tests."""

from __future__ import annotations

import re

from scanner.format import excludes
from scanner.format.excludes import _DOUBLE_STAR, _NO_SLASH, _STAR, _Token

_ANY_DIRECTORIES = "(?:[^/]+/)*"


def matches(patterns: list[str], path: bytes, is_dir: bool) -> bool:
    """Return whether one of the patterns excludes a path."""
    text = path.decode("utf-8", "surrogateescape")
    if is_dir:
        text += "/"
    return any(re.fullmatch(expression_of(pattern), text, re.DOTALL) for pattern in patterns)


def expression_of(pattern: str) -> str:
    """Return the regular expression that means the same as a pattern."""
    parts = excludes._split_into_parts(pattern)
    only_directories = len(parts) > 1 and not parts[-1]
    if only_directories:
        parts.pop()
    anchored = len(parts) > 1
    if anchored and not parts[0]:
        parts.pop(0)

    *directories, last = parts
    start = "" if anchored else _ANY_DIRECTORIES
    for part in directories:
        start += _ANY_DIRECTORIES if part == [_DOUBLE_STAR] else render(part) + "/"
    end = "/.*" if only_directories else "(?:/.*)?"
    return start + (".+" if last == [_DOUBLE_STAR] else render(last)) + end


def render(part: list[_Token]) -> str:
    """Return the expression of what stands between two slashes."""
    return "".join(render_token(token) for token in part)


def render_token(token: _Token) -> str:
    """Return the expression of one token."""
    if token == _STAR:
        return "[^/]*"
    if token == _DOUBLE_STAR:
        return ".*"
    if token.members is None:
        return re.escape(token.literal)
    if token.members == _NO_SLASH:
        return "[^/]"
    ranges = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in token.members.ranges)
    return f"(?!/)[{'^' if token.members.is_negated else ''}{ranges}]"
