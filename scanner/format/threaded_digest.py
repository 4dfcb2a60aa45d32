"""A digest that is computed on another thread: hashlib lets go of the interpreter's lock while it works."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType

BATCH, AHEAD = 2048, 8
"""Lines that are digested together, and pieces that may wait: memory stays flat."""


class Sha3Aside:
    """SHA3-512 of pieces, in their order. A context manager, which ends its thread."""

    def __init__(self) -> None:
        self._digest = hashlib.sha3_512()
        self._pool = ThreadPoolExecutor(1, "sha3")
        self._waiting: deque[Future[None]] = deque()

    def update(self, piece: bytes) -> None:
        """Have `piece` digested behind those before it."""
        self._waiting.append(self._pool.submit(self._digest.update, piece))
        if len(self._waiting) > AHEAD:
            self._waiting.popleft().result()

    def through(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """The same lines, digested as they pass."""
        while batch := list(islice(lines, BATCH)):
            self.update(b"".join(batch))
            yield from batch

    def digest(self) -> bytes:
        """The digest of all that passed."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._digest.digest()

    def __enter__(self) -> Sha3Aside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
