"""Split a stream of bytes into lines of limited length."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scanner.format.errors import ReportError


def split_lines(read: Callable[[int], bytes], limit: int, chunk_size: int = 1 << 18) -> Iterator[bytes]:
    """Yield the lines of what `read(n)` returns, newline included.

    Memory stays flat: raise ReportError for a line longer than `limit` bytes as soon as so much of it was read, and for
    a last line without a newline.
    """
    rest = b""
    while True:
        chunk = read(chunk_size)
        if not chunk:
            break

        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if len(line) >= limit:
                raise ReportError(f"a line is longer than {limit} bytes")
            yield line + b"\n"

        # Here and not only when a newline comes: an endless line must not fill the memory.
        if len(rest) >= limit:
            raise ReportError(f"a line is longer than {limit} bytes")

    if rest:
        raise ReportError("the last line is cut short")
