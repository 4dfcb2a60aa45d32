"""Unpack a body as it comes, plain or gzip (RFC 1952), piece by piece and within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from scanner.errors import BodyError

IDENTITY = "identity"
GZIP = "gzip"
GZIP_MAGIC = b"\x1f\x8b"
"""The first bytes of any gzip stream."""

PIECE_BYTES = 1 << 18
"""Bytes that are unpacked at a time, however much a few packed bytes would make."""
MAX_RATIO = 500
"""How many plain bytes one packed byte may make. Deflate can make 1,030; a report of empty files at the end of one
4,000-byte path comes to 350, one of photographs to 2.5."""
RATIO_FROM_BYTES = 16 << 20
"""The ratio is not checked before this many plain bytes."""

_GZIP_WBITS = 31
"""zlib: expect a gzip header and trailer."""


class Unpacker:
    """Takes the bytes as sent and yields the plain ones. One gzip member, nothing after it."""

    def __init__(self, encoding: str) -> None:
        self._inflate = None
        if encoding == GZIP:
            self._inflate = zlib.decompressobj(wbits=_GZIP_WBITS)
        self._packed_bytes = 0
        self._plain_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the plain bytes in `data`, at most PIECE_BYTES at a time. Raise BodyError for a bad gzip stream."""
        if self._inflate is None:
            yield data
            return

        self._packed_bytes += len(data)
        while data:
            if self._inflate.eof:
                raise BodyError("something follows the end of the gzip stream")

            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise BodyError("not a gzip stream, or a damaged one") from error

            # zlib holds back what goes beyond PIECE_BYTES, or what follows the end of the stream; never both.
            data = self._inflate.unconsumed_tail or self._inflate.unused_data

            self._plain_bytes += len(piece)
            # Checked after each piece, so that a bomb is found while it still fits into memory.
            if self._plain_bytes > max(RATIO_FROM_BYTES, MAX_RATIO * self._packed_bytes):
                raise BodyError(f"unpacks to more than {MAX_RATIO} times its size")

            if piece:
                yield piece

    def finish(self) -> None:
        """Raise BodyError when the gzip stream is not at its end."""
        if self._inflate is not None and not self._inflate.eof:
            raise BodyError("the gzip stream is cut short")
