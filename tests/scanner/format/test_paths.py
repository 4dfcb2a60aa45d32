"""Names are coded as text: every byte string has one text, every other text is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.format import paths
from scanner.format.errors import PathError

NAMES = st.one_of(
    st.binary(max_size=40), st.text(max_size=20).map(str.encode), st.sampled_from([b"\\", b"\\xff", b"\n"])
)


@given(NAMES)
def test_round_trip(name: bytes) -> None:
    """Decoding what was coded gives the same bytes."""
    assert paths.decode(paths.encode(name)) == name


@given(NAMES, NAMES)
def test_two_names_stay_two(first: bytes, second: bytes) -> None:
    """Names that differ in a byte have texts that differ; and the same name has the same text."""
    assert (paths.encode(first) == paths.encode(second)) == (first == second)


@given(st.text(max_size=20))
def test_text_is_refused_or_canonical(text: str) -> None:
    """A text that can be decoded is the one that its bytes are coded to."""
    try:
        name = paths.decode(text)
    except PathError:
        return
    assert paths.encode(name) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"plain", "plain"),
        ("café".encode(), "café"),
        ("cafe\u0301".encode(), "cafe\u0301"),
        (b"\xff\xfe.bin", "\\xff\\xfe.bin"),
        (b"back\\slash", "back\\\\slash"),
        (b"\\xff", "\\\\xff"),
        (b"line\nfeed", "line\nfeed"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        (b"\xc0\xaf", "\\xc0\\xaf"),
    ],
)
def test_examples(name: bytes, text: str) -> None:
    """UTF-8 stays text, other bytes and backslashes are escaped, nothing is normalised."""
    assert paths.encode(name) == text
    assert paths.decode(text) == name


@pytest.mark.parametrize("text", ["\\", "\\x", "\\xFF", "\\x41", "\\xc3\\xa9", "\\n", "a\\", "\ud800", "\\x4"])
def test_refused_texts(text: str) -> None:
    """A lone backslash, upper-case hex, an escape for what needs none, a surrogate: not canonical."""
    with pytest.raises(PathError):
        paths.decode(text)


@pytest.mark.parametrize("path", ["a", "a/b", ".a", "..a/b", "a/...", "a b/\\xff", "\\\\/x", "-", "a\n/b", "…/é"])
def test_relative_paths(path: str) -> None:
    """Any name that can stand in a directory may stand in a path."""
    paths.check(path)


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/../b", "../a", "a\0b", "\\q", "\ud800"]
)
def test_refused_paths(path: str) -> None:
    """No empty, `.` or `..` part, no NUL, no leading or trailing slash, nothing that is not coded canonically."""
    with pytest.raises(PathError):
        paths.check(path)
