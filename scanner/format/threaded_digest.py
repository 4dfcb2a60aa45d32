"""Compute SHA3-512 on another thread: hashlib releases the interpreter's lock while it works."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType

LINES_PER_PIECE = 2048
"""Lines that are digested together: a piece must be worth the change of threads."""
MAX_PENDING = 8
"""Pieces that may wait, so that memory stays flat."""


class ThreadedSha3:
    """SHA3-512 of pieces, in their order. A context manager, which ends its thread.

    Digests that share a `pool` of one thread need no context manager: the pool ends when nothing refers to it.
    """

    def __init__(self, pool: ThreadPoolExecutor | None = None) -> None:
        self._digest = hashlib.sha3_512()
        self._pool = pool or ThreadPoolExecutor(1, "sha3")
        self._pending: deque[Future[None]] = deque()

    def update(self, piece: bytes) -> None:
        """Queue `piece` behind those before it. Wait while too many are queued."""
        self._pending.append(self._pool.submit(self._digest.update, piece))
        if len(self._pending) > MAX_PENDING:
            self._pending.popleft().result()

    def through(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the same lines, and digest them as they pass."""
        while piece := list(islice(lines, LINES_PER_PIECE)):
            self.update(b"".join(piece))
            yield from piece

    def digest(self) -> bytes:
        """Return the digest of all pieces until now."""
        while self._pending:
            self._pending.popleft().result()
        return self._digest.digest()

    def hexdigest(self) -> str:
        """Return the digest in lower-case hex."""
        return self.digest().hex()

    def __enter__(self) -> ThreadedSha3:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After `digest` nothing is queued, and after an error nobody asks for it.
        self._pool.shutdown(cancel_futures=True)
