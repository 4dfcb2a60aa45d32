"""The grammar of excludes, held by vectors that any other implementation can run as well."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.format.errors import ExcludeError
from scanner.format.excludes import _MOST_SITUATIONS, MAX_PATTERN_LENGTH, Excludes, parse_excludes
from tests.scanner.format import excludes_by_regex

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


PATTERN_PIECES = [
    "a",
    "b",
    "/",
    "*",
    "**",
    "?",
    "[a]",
    "[!a]",
    "[a-b]",
    "[+-9]",
    "\\*",
    ".",
    "é",
    "\\xff",
    "\\xc3\\xa9",
    "\n",
]
NAMES = st.lists(st.sampled_from([b"a", b"b", b".", "é".encode(), b"\n", b"+", b"*", b"\xff"]), min_size=1, max_size=3)
PATHS = st.lists(NAMES.map(b"".join), min_size=1, max_size=4).map(b"/".join)
PATTERNS = st.lists(st.sampled_from(PATTERN_PIECES), min_size=1, max_size=7).map("".join)


@given(patterns=st.lists(PATTERNS, min_size=1, max_size=3), paths=st.lists(PATHS, min_size=1, max_size=20))
def test_same_as_a_regular_expression(patterns: list[str], paths: list[bytes]) -> None:
    """Any pattern matches what the regular expression of the same meaning matches, as a file and as a directory."""
    try:
        excludes = Excludes(patterns)
    except ExcludeError:
        return
    for path in paths:
        for is_dir in (False, True):
            assert excludes.matches(path, is_dir) is excludes_by_regex.matches(patterns, path, is_dir)


@pytest.mark.parametrize(
    "pattern",
    [
        "*" * 31 + "b",
        "**/" * 20 + "zz/y",
        "*_*_*_*_*_*_*_*_*_*_*_*.tmp",
        "*a" * 100 + "*b",
        "**a" * 100 + "**b",
        "*/**/*" * 20 + "b",
        "[ab]*" * 100 + "?*" * 100 + "c",
    ],
)
def test_time_in_proportion_to_the_length(pattern: str) -> None:
    """A pattern that would make a regular expression try for ever takes a bounded number of steps for a character."""
    excludes = Excludes([pattern])
    name = b"a" * 1000 + b"_" * 1000
    assert not excludes.matches(b"d/" * 100 + name, False)
    assert excludes._automaton.steps <= (200 + len(name)) * (3 * len(pattern) + 10)


def test_forgotten_situations_are_found_again() -> None:
    """A pattern with very many situations stays right after the automaton has forgotten them."""
    pattern = "*a" + "?" * 14 + "b"
    excludes = Excludes([pattern])
    randomness = random.Random(1)
    for _ in range(300):
        name = bytes(randomness.choice(b"ab") for _ in range(60))
        assert excludes.matches(name, False) is excludes_by_regex.matches([pattern], name, False)
    assert len(excludes._automaton._situations) <= _MOST_SITUATIONS


def test_knows_whether_directories_matter() -> None:
    """Only a pattern with a slash at its end treats a directory otherwise than a file."""
    assert not Excludes(["*.tmp", "/data/**"]).tells_directories
    assert Excludes(["*.tmp", "cache/"]).tells_directories
