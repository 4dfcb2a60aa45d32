"""Open what an export is written to: standard output or a file, plain or compressed."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from scanner.format.atomic_file import open_atomic

FILE_MODE = 0o666
"""As for any file that a person writes: the umask takes away what others may not do."""


@contextmanager
def open_output(path: Path | None, compressed: bool = False) -> Iterator[IO[bytes]]:
    """Open stdout for None, else a file that has its name only when it was written without an error.

    With `compressed` the content is packed with gzip, and the same content always gives the same bytes. Raise OSError.
    """
    with _open_target(path) as target:
        if not compressed:
            yield target
            return

        # Neither a name nor a time goes into the header, so that the bytes depend on the content alone.
        with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as file:
            yield cast("IO[bytes]", file)


@contextmanager
def _open_target(path: Path | None) -> Iterator[IO[bytes]]:
    if path is not None:
        with open_atomic(path, FILE_MODE) as file:
            yield file
        return

    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
