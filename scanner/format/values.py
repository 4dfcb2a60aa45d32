"""Check values from JSON: each function returns the check of one kind of value, for a closed schema to name.

What passes can be held by PostgreSQL and by JSON: no NUL, no lone surrogate, no float, no integer beyond 64 bits, and
no nesting but where a schema has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Optional

Check = Callable[[Any], bool]
"""Returns whether a value from JSON is one that a member may have."""

INT64 = range(-(2**63), 2**63)
LONGEST_NAME = 100
"""Characters of a version, a name of a system, an engine, an algorithm or a profile, and of a text of a note."""
LONGEST_TEXT = 8192
"""Characters of a path, an identity or an explanation."""
MOST_ITEMS = 64
"""Items of a list: tools of an engine, directories that were left out."""

_UNFIT = re.compile("[\0\ud800-\udfff]")
"""Characters that a PostgreSQL text or UTF-8 cannot hold."""


def matches(pattern: re.Pattern[str]) -> Check:
    """Return the check of a text that begins with a pattern, which has to demand its end itself."""
    return lambda value: isinstance(value, str) and bool(pattern.match(value))


def text(max_length: int) -> Check:
    """Return the check of a text that is not empty."""
    return lambda value: isinstance(value, str) and 0 < len(value) <= max_length and not _UNFIT.search(value)


def text_or_empty(max_length: int) -> Check:
    """Return the check of a text that may be empty."""
    return lambda value: value == "" or text(max_length)(value)


def integer(least: int = INT64[0], most: int = INT64[-1]) -> Check:
    """Return the check of an integer between two bounds, both of which are allowed."""
    # type() and not isinstance(): True is an int, too.
    return lambda value: type(value) is int and least <= value <= most


def boolean(value: Any) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


def equals(constant: object) -> Check:
    """Return the check of a member that has one value only."""
    return lambda value: value == constant


def one_of(*constants: str) -> Check:
    """Return the check of a text that is one of some."""
    return lambda value: isinstance(value, str) and value in constants


def optional(check: Check) -> Check:
    """Return the check of a value that may be null."""
    return lambda value: value is None or check(value)


def list_of(check: Check, max_length: int = MOST_ITEMS) -> Check:
    """Return the check of a list."""
    return lambda value: isinstance(value, list) and len(value) <= max_length and all(map(check, value))


def object_of(members: dict[str, Check], optional_members: Optional[dict[str, Check]] = None) -> Check:
    """Return the check of an object with these members in this order, after which the optional ones may follow."""
    checks = {**members, **(optional_members or {})}

    def is_allowed(value: Any) -> bool:
        if not isinstance(value, dict) or not value.keys() <= checks.keys() or not value.keys() >= members.keys():
            return False
        in_order = list(value) == [key for key in checks if key in value]
        return in_order and all(checks[key](item) for key, item in value.items())

    return is_allowed
