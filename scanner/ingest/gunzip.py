"""A body as it comes, plain or gzip (RFC 1952), unpacked piece by piece within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

IDENTITY, GZIP = "identity", "gzip"
PIECE = 1 << 18
"""Bytes that are unpacked at a time, however much a few packed bytes would make."""
RATIO, RATIO_FROM = 500, 16 << 20
"""No more than RATIO times of what came in, once that is more than RATIO_FROM bytes. Deflate can do 1,030; a report of
empty files at the end of one 4,000-byte path comes to 350, one of photographs to 2.5."""


class BodyError(ValueError):
    """The bytes are not what was announced; the message says what is wrong with them."""


class Unpacker:
    """Takes the bytes as sent, gives the plain ones. One gzip member, nothing after it."""

    def __init__(self, encoding: str) -> None:
        self._inflate = zlib.decompressobj(wbits=31) if encoding == GZIP else None
        self._taken = self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes in `data`, in pieces of at most PIECE bytes; BodyError for what is no gzip stream."""
        if self._inflate is None:
            yield data
            return
        self._taken += len(data)
        while data:
            if self._inflate.eof:
                raise BodyError("something follows the end of the gzip stream")
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error as error:
                raise BodyError("not a gzip stream, or a damaged one") from error
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            self._given += len(piece)
            if self._given > max(RATIO_FROM, RATIO * self._taken):
                raise BodyError(f"unpacks to more than {RATIO} times its size")
            if piece:
                yield piece

    def finish(self) -> None:
        """Raise BodyError when the gzip stream is not at its end."""
        if self._inflate is not None and not self._inflate.eof:
            raise BodyError("the gzip stream is cut short")
