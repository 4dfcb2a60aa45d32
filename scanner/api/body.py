"""The body of a request, read as it comes: chunked or not, bounded, and not for ever.

Django reads nothing of a chunked body, so the WSGI server's own stream is read. A client that stalls holds a thread; a
watch shuts the receiving half of its connection, upon which the read returns and the answer can still be sent.
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

CHUNK = 1 << 14
"""Bytes that are read at a time, and that must come within BACKUP_SYNCER_UPLOAD_IDLE_SECONDS."""


class RequestBody:
    """The bytes of one request's body. `length` is None for a chunked one; `size` counts what was read."""

    def __init__(self, request: HttpRequest) -> None:
        self._input = request.META["wsgi.input"]
        chunked = str(request.META.get("HTTP_TRANSFER_ENCODING", "")).lower() == "chunked"
        length = str(request.META.get("CONTENT_LENGTH") or "0")
        if not (length.isascii() and length.isdigit()):
            raise Malformed("Content-Length is no number.")
        self.length = None if chunked else int(length)
        self.size = 0
        self._ended = False
        self._watch = _Watch(request.META.get("gunicorn.socket"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._watch.stop()

    def read(self, size: int = CHUNK) -> bytes:
        """The next bytes, none at the end; Incomplete when the body stalls or is cut short."""
        size = min(size, CHUNK) if self.length is None else min(size, CHUNK, self.length - self.size)
        if self._ended or not size:
            return b""
        try:
            with self._watch:
                data: bytes = self._input.read(size)
        except (OSError, ParseException) as error:
            self._ended = True
            raise Incomplete(self._watch.reason) from error
        self.size += len(data)
        if not data or (self.length is not None and len(data) < size):
            self._ended = True
            if self.length is not None or self._watch.stalled:
                raise Incomplete(self._watch.reason)
        return data

    def drain(self, limit: int) -> None:
        """Read on, up to `limit` bytes in all: an answer given while the client still sends may not reach it."""
        try:
            while self.size < limit and self.read():
                pass
        except Incomplete:
            self._ended = True

    def all(self, limit: int) -> bytes:
        """The whole body; TooLarge when it is longer than `limit`."""
        if (self.length or 0) > limit:
            raise TooLarge(f"The body is longer than {limit} bytes.")
        whole = b""
        while data := self.read():
            whole += data
            if len(whole) > limit:
                raise TooLarge(f"The body is longer than {limit} bytes.")
        return whole


class _Watch:
    """Shuts the receiving half of a connection when one read takes too long. Its thread starts with the first read."""

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection
        self._seconds = settings.BACKUP_SYNCER_UPLOAD_IDLE_SECONDS
        self._since: float | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.stalled = False

    @property
    def reason(self) -> str:
        return f"Nothing came for {self._seconds} seconds." if self.stalled else "The body was cut short."

    def __enter__(self) -> None:
        self._since = time.monotonic()
        if self._thread is None and self._connection is not None:
            self._thread = threading.Thread(target=self._run, name="stall watch", daemon=True)
            self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._since = None

    def _run(self) -> None:
        while not self._over.wait(min(1.0, self._seconds / 4)):
            since = self._since
            if since is not None and time.monotonic() - since > self._seconds:
                self._shut()
                return

    def _shut(self) -> None:
        assert self._connection is not None
        self.stalled = True
        try:
            self._connection.shutdown(socket.SHUT_RD)
        except OSError:
            return  # the client has gone by itself: the read ends too

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()


def read_small(request: HttpRequest) -> bytes:
    """The whole body of a request that carries no report: at most ENVELOPE_LIMIT bytes."""
    with RequestBody(request) as body:
        return body.all(ENVELOPE_LIMIT)


def content_digest(request: HttpRequest) -> bytes:
    """The SHA-256 in the header Content-Digest (RFC 9530, section 2); Malformed when there is none."""
    for member in str(request.headers.get("Content-Digest", "")).split(","):
        name, _, value = member.strip().partition("=")
        if name == "sha-256" and len(value) == 46 and value.startswith(":") and value.endswith(":"):
            try:
                return base64.b64decode(value[1:-1], validate=True)
            except ValueError as error:
                raise Malformed("Content-Digest is not base64.") from error
    raise Malformed("The header Content-Digest must name the body's SHA-256: sha-256=:<base64>:")
