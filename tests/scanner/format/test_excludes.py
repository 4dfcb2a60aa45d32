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
    """Return the path of a vector, which is in hex where it is not UTF-8."""
    if "path_hex" in vector:
        return bytes.fromhex(vector["path_hex"])
    path: str = vector["path"]
    return path.encode()


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


@pytest.mark.parametrize(
    ("path", "excluded"), [(b"x/a.o", True), (b"build/y", True), (b"z/lost+found", True), (b"a.c", False)]
)
def test_several_patterns(path: bytes, excluded: bool) -> None:
    """A path is excluded when any of the patterns matches it."""
    excludes = Excludes(["*.o", "/build/", "lost+found"])
    assert excludes.matches(path, False) is excluded


def test_lines_of_a_text() -> None:
    """Empty lines and comments are skipped; white space around a pattern goes unless it is escaped."""
    excludes = parse_excludes("# comment\r\n\r\n  *.tmp  \n\t\ntrailing\\ \n\\ leading\nboth\\\\  \n")
    assert excludes.patterns == ("*.tmp", "trailing\\ ", "\\ leading", "both\\\\")
    assert excludes.matches(b"trailing ", False)
    assert excludes.matches(b" leading", False)
    assert excludes.matches(b"both\\", False)


def test_bad_line_of_a_text() -> None:
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
