"""A stream becomes lines of limited length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import pytest

from scanner.format.errors import ReportError
from scanner.format.lines import split_lines


def read_in_pieces(data: bytes, size: int) -> Callable[[int], bytes]:
    """Return a function that reads at most `size` bytes at a time, whatever is asked for."""
    file = BytesIO(data)
    return lambda count: file.read(min(size, count))


def endless_line() -> Iterator[bytes]:
    """Yield bytes without a newline."""
    while True:
        yield b"x" * 4096


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines_are_whole(size: int) -> None:
    """Lines come whole, in whatever pieces the bytes arrive."""
    assert list(split_lines(read_in_pieces(b"a\n\nbc\n", size), 10)) == [b"a\n", b"\n", b"bc\n"]


@pytest.mark.parametrize("data", [b"x" * 10 + b"\n", b"x" * 11, b"ok\n" + b"x" * 30 + b"\n", b"cut"])
def test_refused_lines(data: bytes) -> None:
    """A line that is too long, or has no end, is refused."""
    with pytest.raises(ReportError):
        list(split_lines(read_in_pieces(data, 4), 10))


def test_endless_line() -> None:
    """A stream that never gives a newline is given up at the limit."""
    stream = endless_line()
    with pytest.raises(ReportError, match="longer"):
        next(split_lines(lambda _: next(stream), 64 * 1024))
