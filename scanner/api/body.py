"""Read the body of a request as it comes: chunked or not, within bounds of size and time.

Django reads nothing of a chunked body, so the stream of the WSGI server is read. A client that stalls holds a thread: a
watch shuts the receiving half of its connection, upon which the read returns and the response can still be sent.
"""

from __future__ import annotations

import base64
import socket
import threading
import time
from types import TracebackType
from typing import Self

from django.conf import settings
from django.http import HttpRequest
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # it has no types

from scanner.errors import Incomplete, Malformed, TooLarge
from scanner.format.envelope import ENVELOPE_LIMIT

CHUNK_BYTES = 1 << 14
"""Bytes that are read at a time, and that must come within BACKUP_SYNCER_UPLOAD_IDLE_SECONDS."""
_SHA256_MEMBER_LENGTH = 46
"""Of a member of Content-Digest: 44 characters of base64 between two colons."""


class RequestBody:
    """The bytes of one request's body. `length` is None for a chunked one; `size` counts what was read."""

    def __init__(self, request: HttpRequest) -> None:
        self._input = request.META["wsgi.input"]
        is_chunked = str(request.META.get("HTTP_TRANSFER_ENCODING", "")).lower() == "chunked"
        length = str(request.META.get("CONTENT_LENGTH") or "0")
        # int() would also take a sign, spaces, underscores and the digits of other scripts.
        if not (length.isascii() and length.isdigit()):
            raise Malformed("Content-Length is no number.")

        # Transfer-Encoding overrides Content-Length (RFC 9112, section 6.3).
        self.length: int | None = int(length)
        if is_chunked:
            self.length = None

        self.size = 0
        self._is_at_end = False
        self._watch = _StallWatch(request.META.get("gunicorn.socket"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._watch.stop()

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """Return the next bytes, none at the end. Raise Incomplete when the body stalls or is cut short."""
        # Small reads: the server's `read` returns only when all bytes are there, so that a slow but steady client would
        # look stalled in a large one.
        size = min(size, CHUNK_BYTES)
        if self.length is not None:
            size = min(size, self.length - self.size)
        if self._is_at_end or not size:
            return b""

        try:
            with self._watch:
                data: bytes = self._input.read(size)
        except (OSError, ParseException) as error:
            self._is_at_end = True
            raise Incomplete(self._watch.reason) from error

        self.size += len(data)

        is_short = self.length is not None and len(data) < size
        if not data or is_short:
            self._is_at_end = True
            # Nothing is the proper end of a chunked body, but not when the watch has shut the connection.
            if self.length is not None or self._watch.stalled:
                raise Incomplete(self._watch.reason)
        return data

    def drain(self, limit: int) -> None:
        """Read on, up to `limit` bytes in all: a response may not reach a client that still sends."""
        try:
            while self.size < limit and self.read():
                pass
        except Incomplete:
            self._is_at_end = True

    def read_all(self, limit: int) -> bytes:
        """Return the whole body. Raise TooLarge when it is longer than `limit`."""
        if (self.length or 0) > limit:
            raise TooLarge(f"The body is longer than {limit} bytes.")

        body = b""
        while data := self.read():
            body += data
            if len(body) > limit:
                raise TooLarge(f"The body is longer than {limit} bytes.")
        return body


class _StallWatch:
    """Shuts the receiving half of a connection when one read takes too long.

    A context manager around each read. Its thread starts with the first read.
    """

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection
        self._idle_seconds = settings.BACKUP_SYNCER_UPLOAD_IDLE_SECONDS
        self._read_since: float | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.stalled = False

    @property
    def reason(self) -> str:
        """Return why a read did not return what was asked for."""
        if self.stalled:
            return f"Nothing came for {self._idle_seconds} seconds."
        return "The body was cut short."

    def __enter__(self) -> None:
        self._read_since = time.monotonic()
        if self._thread is None and self._connection is not None:
            self._thread = threading.Thread(target=self._run, name="stall watch", daemon=True)
            self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._read_since = None

    def _run(self) -> None:
        while not self._stopped.wait(min(1.0, self._idle_seconds / 4)):
            # A copy: the reading thread sets it to None at any time.
            read_since = self._read_since
            if read_since is not None and time.monotonic() - read_since > self._idle_seconds:
                self._shut_down()
                return

    def _shut_down(self) -> None:
        assert self._connection is not None
        self.stalled = True
        try:
            self._connection.shutdown(socket.SHUT_RD)
        except OSError:
            return  # the client has gone by itself: the read ends, too

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()


def read_small_body(request: HttpRequest) -> bytes:
    """Return the whole body of a request that carries no report: at most ENVELOPE_LIMIT bytes."""
    with RequestBody(request) as body:
        return body.read_all(ENVELOPE_LIMIT)


def content_digest(request: HttpRequest) -> bytes:
    """Return the SHA-256 in the header Content-Digest (RFC 9530, section 2). Raise Malformed when there is none."""
    for member in str(request.headers.get("Content-Digest", "")).split(","):
        # The header may name several digests; others than SHA-256 are for other readers.
        name, _, value = member.strip().partition("=")
        is_bytes = len(value) == _SHA256_MEMBER_LENGTH and value.startswith(":") and value.endswith(":")
        if name == "sha-256" and is_bytes:
            try:
                return base64.b64decode(value[1:-1], validate=True)
            except ValueError as error:
                raise Malformed("Content-Digest is not base64.") from error
    raise Malformed("The header Content-Digest must name the body's SHA-256: sha-256=:<base64>:")
