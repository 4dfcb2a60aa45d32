"""A report while it arrives: hashed as sent, unpacked, its envelope read first, every line checked as it passes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from scanner.errors import Incomplete, Malformed
from scanner.format.envelope import ENVELOPE_LIMIT
from scanner.format.errors import RecordError
from scanner.format.records import LINE_LIMIT
from scanner.format.statement import Statement
from scanner.ingest.batch import BatchTally
from scanner.ingest.gunzip import GZIP, IDENTITY, BodyError, Unpacker

Read = Callable[[int], bytes]
"""`read(n)`: the next bytes as sent, at most n, none at the end."""
SLACK = 1 << 20
"""How much longer than its plain bytes a body may be: what gzip adds to bytes that it cannot pack."""


class Body:
    """The lines below the envelope, checked against what the statement says of them. Fed with any pieces."""

    def __init__(self, statement: Statement) -> None:
        self._statement, self._left = statement, statement.records.byte_count
        self._tally = BatchTally(statement.records.line_count)
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Check the lines that end in `piece`; BodyError names what is wrong."""
        self._left -= len(piece)
        if self._left < 0:
            raise BodyError(
                f"more than the {self._statement.records.byte_count} bytes of records that the statement announces"
            )
        head, newline, tail = piece.rpartition(b"\n")
        if newline:
            self._add(self._rest + head + newline)
            self._rest = tail
        else:
            self._rest += tail
        if len(self._rest) > LINE_LIMIT:
            raise BodyError(f"line {self._tally.lines + 1}: longer than {LINE_LIMIT} bytes")

    def _add(self, text: bytes) -> None:
        try:
            self._tally.add_text(text)
        except RecordError as error:
            raise BodyError(str(error)) from error

    def finish(self) -> None:
        """Compare the sums with the statement; BodyError names the first that differs."""
        if self._rest:
            raise BodyError("the last line is cut short")
        tally, statement = self._tally, self._statement
        found = (tally.files, tally.size, tally.errors, tally.records_digest.finish(), tally.content_digest.hexdigest())
        said = (statement.files, statement.bytes_, statement.errors, statement.records, statement.content)
        for name, here, there in zip(("files", "bytes", "errors", "records", "content"), found, said):
            if here != there:
                raise BodyError(f"the statement's {name} is not what the lines come to")


class Arrival:
    """One report on its way in. `read` makes it the content of a storage's `save`: it gives the bytes as sent.

    `encoding` None: told by the first bytes. `digest`: the SHA-256 of the bytes as sent, where the sender names it.
    """

    def __init__(self, source: Read, encoding: str | None, digest: bytes | None = None) -> None:
        self._source, self._expected = source, digest
        self._sha256 = hashlib.sha256()
        self._unread: list[bytes] = []
        self._plain: Iterator[bytes] = iter(())
        self._rest = b""
        self._body: Body | None = None
        self._limit = ENVELOPE_LIMIT + SLACK
        self.size = 0
        first = self._take(1 << 14)
        self._unread.append(first)
        self.encoding = encoding or (GZIP if first.startswith(b"\x1f\x8b") else IDENTITY)
        self._unpacker = Unpacker(self.encoding)
        self._first = first

    def _take(self, size: int) -> bytes:
        data = self._source(size)
        self.size += len(data)
        self._sha256.update(data)
        return data

    def envelope(self) -> bytes:
        """Line 1, newline included; Malformed when there is none within ENVELOPE_LIMIT. Reads no more than it must."""
        line, data = b"", self._first
        try:
            while data:
                self._plain = self._unpacker.feed(data)
                for piece in self._plain:
                    line += piece
                    if b"\n" in piece or len(line) > ENVELOPE_LIMIT:
                        return self._first_line(line)
                if self.size > self._limit:
                    raise BodyError("no line in so many bytes")
                data = self._take(1 << 14)
                self._unread.append(data)
        except BodyError as error:
            raise Malformed(f"The report cannot be read: {error}.") from error
        raise Malformed("The report ends before its first line does.")

    def _first_line(self, line: bytes) -> bytes:
        envelope, newline, self._rest = line.partition(b"\n")
        if not newline or len(envelope) >= ENVELOPE_LIMIT:
            raise Malformed(f"The first line is longer than {ENVELOPE_LIMIT} bytes.")
        return envelope + newline

    def expect(self, statement: Statement) -> None:
        """From here on `read` checks what it reads against `statement`."""
        self._body = Body(statement)
        self._limit = ENVELOPE_LIMIT + statement.records.byte_count + statement.records.byte_count // 100 + SLACK

    def read(self, size: int = 1 << 14) -> bytes:
        """The next bytes as sent, checked; none at the end, where digest and sums are compared.

        Raises BodyError, or Incomplete when the bytes are not those that the sender meant.
        """
        assert self._body is not None
        if self._unread:
            self._body.feed(self._rest)
            for piece in self._plain:
                self._body.feed(piece)
            self._rest, data = b"", b"".join(self._unread)
            self._unread.clear()
            return data
        data = self._take(size)
        if self.size > self._limit:
            raise BodyError("more bytes than the records that the statement announces can take")
        for piece in self._unpacker.feed(data):
            self._body.feed(piece)
        if not data:
            self.check_digest()
            self._unpacker.finish()
            self._body.finish()
        return data

    def drain(self) -> None:
        """Read what is left unchecked, as far as it may go: only its end tells whether it came as it was sent."""
        while self.size <= self._limit and self._take(1 << 14):
            pass

    def check_digest(self) -> None:
        """Raise Incomplete when the bytes so far are not those that the sender meant."""
        if self.size <= self._limit and self._expected not in (None, self._sha256.digest()):
            raise Incomplete("The body is not the one that Content-Digest names.")
