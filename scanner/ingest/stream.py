"""Read a report while it arrives: hash it as sent, unpack it, read its envelope first, check each line as it passes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from scanner.errors import BodyError, Incomplete, Malformed
from scanner.format.envelope import ENVELOPE_LIMIT
from scanner.format.errors import RecordError
from scanner.format.records import LINE_LIMIT
from scanner.format.statement import Statement
from scanner.ingest.batch import BatchTotals
from scanner.ingest.gunzip import GZIP, GZIP_MAGIC, IDENTITY, Unpacker

ReadBytes = Callable[[int], bytes]
"""`read(n)` returns the next bytes as sent, at most n, none at the end."""
GZIP_SLACK_BYTES = 1 << 20
"""How much longer than its plain bytes a body may be: gzip adds a little to bytes that it cannot pack."""
READ_BYTES = 1 << 14


class RecordsCheck:
    """Checks the lines below the envelope against the statement. Fed with pieces of any size."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._remaining_bytes = statement.records.byte_count
        self._totals = BatchTotals(statement.records.line_count)
        self._line_start = b""
        """The beginning of a line whose end has not arrived yet."""

    def feed(self, piece: bytes) -> None:
        """Check the lines that end in `piece`. Raise BodyError that says what is wrong."""
        # Before anything else: what is signed is the bound of what is unpacked.
        self._remaining_bytes -= len(piece)
        if self._remaining_bytes < 0:
            announced = self._statement.records.byte_count
            raise BodyError(f"more than the {announced} bytes of records that the statement announces")

        head, newline, tail = piece.rpartition(b"\n")
        if newline:
            self._add_lines(self._line_start + head + newline)
            self._line_start = tail
        else:
            self._line_start += tail

        # Here and not only when the line ends: an endless line must not fill the memory.
        if len(self._line_start) > LINE_LIMIT:
            raise BodyError(f"line {self._totals.lines + 1}: longer than {LINE_LIMIT} bytes")

    def _add_lines(self, text: bytes) -> None:
        try:
            self._totals.add_text(text)
        except RecordError as error:
            raise BodyError(str(error)) from error

    def finish(self) -> None:
        """Compare the totals with the statement. Raise BodyError that names the first that differs."""
        if self._line_start:
            raise BodyError("the last line is cut short")

        totals = self._totals
        statement = self._statement
        comparisons = {
            "files": (totals.files, statement.files),
            "bytes": (totals.size, statement.bytes_),
            "errors": (totals.errors, statement.errors),
            "records": (totals.records_digest.finish(), statement.records),
            "content": (totals.content_digest.hexdigest(), statement.content),
        }
        for name, (counted, stated) in comparisons.items():
            if counted != stated:
                raise BodyError(f"the statement's {name} do not match the lines")


def _detect_encoding(start: bytes) -> str:
    # Line 1 of a plain report begins with a brace.
    if start.startswith(GZIP_MAGIC):
        return GZIP
    return IDENTITY


class ReportStream:
    """One report on its way in. `read` makes it the content of a storage's `save`: it returns the bytes as sent.

    `encoding` None: the first bytes tell. `digest`: the SHA-256 of the bytes as sent, where the sender names it.
    """

    def __init__(self, source: ReadBytes, encoding: str | None, digest: bytes | None = None) -> None:
        self._source = source
        self._expected_digest = digest
        self._sha256 = hashlib.sha256()
        self._records: RecordsCheck | None = None
        # Until the statement is known, and verified, no more is read than an envelope can take.
        self._max_bytes = ENVELOPE_LIMIT + GZIP_SLACK_BYTES
        self.size = 0
        """Bytes as sent that were read until now."""

        # What `read_envelope` takes from the source and `read` has not returned yet, and the plain bytes behind line 1.
        self._unreturned: list[bytes] = []
        self._plain_pieces: Iterator[bytes] = iter(())
        self._plain_rest = b""

        self._first = self._take(READ_BYTES)
        self._unreturned.append(self._first)
        self.encoding = encoding or _detect_encoding(self._first)
        self._unpacker = Unpacker(self.encoding)

    def _take(self, size: int) -> bytes:
        data = self._source(size)
        self.size += len(data)
        self._sha256.update(data)
        return data

    def read_envelope(self) -> bytes:
        """Return line 1 with its newline, reading no more than needed. Raise Malformed beyond ENVELOPE_LIMIT."""
        line = b""
        data = self._first
        try:
            while data:
                self._plain_pieces = self._unpacker.feed(data)
                for piece in self._plain_pieces:
                    line += piece
                    if b"\n" in piece or len(line) > ENVELOPE_LIMIT:
                        return self._split_first_line(line)

                if self.size > self._max_bytes:
                    raise BodyError(f"no line in {self._max_bytes} bytes")
                data = self._take(READ_BYTES)
                self._unreturned.append(data)
        except BodyError as error:
            raise Malformed(f"The report cannot be read: {error}.") from error
        raise Malformed("The report ends before its first line does.")

    def _split_first_line(self, start: bytes) -> bytes:
        envelope, newline, self._plain_rest = start.partition(b"\n")
        if not newline or len(envelope) >= ENVELOPE_LIMIT:
            raise Malformed(f"The first line is longer than {ENVELOPE_LIMIT} bytes.")
        return envelope + newline

    def expect(self, statement: Statement) -> None:
        """From now on check what `read` reads against `statement`."""
        self._records = RecordsCheck(statement)
        size = statement.records.byte_count
        self._max_bytes = ENVELOPE_LIMIT + size + size // 100 + GZIP_SLACK_BYTES

    def read(self, size: int = READ_BYTES) -> bytes:
        """Return the next bytes as sent, checked. At the end return none, and compare digest and totals.

        Raise BodyError, or Incomplete when the bytes are not those that the sender meant.
        """
        assert self._records is not None

        if self._unreturned:
            self._records.feed(self._plain_rest)
            self._plain_rest = b""
            for piece in self._plain_pieces:
                self._records.feed(piece)

            # Returned as they were sent: the storage keeps the bytes of the report and not their content.
            data = b"".join(self._unreturned)
            self._unreturned.clear()
            return data

        data = self._take(size)
        if self.size > self._max_bytes:
            raise BodyError("more bytes than the records that the statement announces can take")
        for piece in self._unpacker.feed(data):
            self._records.feed(piece)
        if not data:
            # The digest first: damage on the way is the sender's to repair, and no reason to refuse the body for good.
            self.check_digest()
            self._unpacker.finish()
            self._records.finish()
        return data

    def drain(self) -> None:
        """Read the rest unchecked, within the limit: only at its end it shows whether the body came as it was sent."""
        while self.size <= self._max_bytes and self._take(READ_BYTES):
            pass

    def check_digest(self) -> None:
        """Raise Incomplete when the bytes until now are not those that the sender meant."""
        # Beyond the limit reading stopped, so that the digest is that of a part.
        if self.size > self._max_bytes or self._expected_digest is None:
            return
        if self._sha256.digest() != self._expected_digest:
            raise Incomplete("The body is not the one that Content-Digest names.")
