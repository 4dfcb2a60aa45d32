"""The grammar of excludes, held by vectors that any other implementation can run as well."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from scanner.format.errors import ExcludeError
from scanner.format.excludes import MAX_PATTERN_LENGTH, Excludes, parse_excludes

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "excludes.json").read_text("utf-8"))


def vector_path(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["path_hex"]) if "path_hex" in vector else vector["path"].encode()


@pytest.mark.parametrize(
    "vector", VECTORS["matches"], ids=lambda vector: repr((vector["pattern"], vector_path(vector)))
)
def test_vector(vector: dict[str, Any]) -> None:
    """Each vector says whether its pattern excludes its path."""
    assert Excludes([vector["pattern"]]).matches(vector_path(vector), vector["is_dir"]) is vector["excluded"]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: repr(vector["pattern"]))
def test_refused_pattern(vector: dict[str, Any]) -> None:
    """A pattern that cannot mean anything is refused by name, with the reason."""
    with pytest.raises(ExcludeError) as caught:
        Excludes(["fine", vector["pattern"]])
    assert caught.value.pattern == vector["pattern"]
    assert caught.value.reason == vector["reason"]
    assert repr(vector["pattern"]) in str(caught.value)


def test_no_patterns_exclude_nothing() -> None:
    """Without patterns everything is in scope."""
    assert not Excludes([]).matches(b"a", False)


def test_any_of_many() -> None:
    """A path is excluded when any one of the patterns matches it."""
    excludes = Excludes(["*.o", "/build/", "lost+found"])
    paths = (b"x/a.o", b"build/y", b"z/lost+found", b"a.c")
    assert [excludes.matches(path, False) for path in paths] == [True] * 3 + [False]


def test_parse_lines() -> None:
    """Empty lines and comments say nothing; white space around a pattern goes unless it is escaped."""
    parsed = parse_excludes("# comment\r\n\r\n  *.tmp  \n\t\ntrailing\\ \n\\ leading\nboth\\\\  \n")
    assert parsed.patterns == ("*.tmp", "trailing\\ ", "\\ leading", "both\\\\")
    assert parsed.matches(b"trailing ", False)
    assert parsed.matches(b" leading", False)
    assert parsed.matches(b"both\\", False)


def test_parse_names_the_bad_line() -> None:
    """A bad pattern in a text is named."""
    with pytest.raises(ExcludeError, match=r"\[open"):
        parse_excludes("good\n[open\n")


def test_overlong_pattern() -> None:
    """A pattern longer than the limit is refused without being compiled."""
    with pytest.raises(ExcludeError, match="longer than"):
        Excludes(["x" * (MAX_PATTERN_LENGTH + 1)])


def test_stars_in_a_row_do_not_explode() -> None:
    """A run of stars costs no more than one."""
    excludes = Excludes(["*" * 31 + "b", "**/" * 20 + "zz/y"])
    started = time.process_time()
    assert not excludes.matches(b"d/" * 100 + b"a" * 200, False)
    assert time.process_time() - started < 1
