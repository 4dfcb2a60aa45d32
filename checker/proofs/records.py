"""The records of a run, written again from the rows and held against what was signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import msgspec
from django.utils.translation import gettext_noop as _

from checker.proofs.verification import Check
from scanner.db import report_lines
from scanner.errors import BodyError, LegacyFormatError
from scanner.format.digests import RecordsDigest
from scanner.format.errors import ReportError
from scanner.format.records import MAX_BLOCKS, RecordsSummary
from scanner.format.statement import Statement
from scanner.format.threaded_digest import ThreadedSha3
from scanner.ingest import inbox, legacy
from scanner.models import Replica, Run

SHOWN = 10
"""Paths that are named at most."""


class Difference(NamedTuple):
    """The first slice of the records that is not what was signed. Blocks count from 1."""

    block: int
    first_path: str
    last_path: str


class _Entry(msgspec.Struct, gc=False):
    path: str
    size: int = 0
    sha256: str | None = None
    link: str | None = None
    error: str | None = None


_entries = msgspec.json.Decoder(_Entry).decode_lines


class Sums:
    """What the lines of a report come to. Their form needs no check: their digest is held against what was signed."""

    def __init__(self) -> None:
        self.count = self.bytes = self.files = self.size = self.errors = 0
        self.digest, self.content = b"", b""

    def read(self, texts: Iterator[bytes]) -> None:
        """Sum up whole lines, many at a time: entries, then notes; msgspec.MsgspecError for what is no entry."""
        with ThreadedSha3() as digest, ThreadedSha3() as content:
            for text in texts:
                digest.update(text)
                self.count += text.count(b"\n")
                self.bytes += len(text)
                if not text.startswith(b'{"note":'):
                    content.update(self._add(_entries(text)))
            self.digest, self.content = digest.digest(), content.digest()

    def _add(self, entries: list[_Entry]) -> bytes:
        """Count entries; returns their part of the content, as `scanner.format.digests.ContentDigest` has it."""
        files = [entry for entry in entries if entry.sha256 is not None]
        self.files += len(files)
        self.size += sum([entry.size for entry in files])
        if len(files) == len(entries):
            return "".join([f"{entry.path}\0{entry.sha256}\0" for entry in files]).encode()
        self.errors += sum(entry.error is not None for entry in entries)
        return "".join(map(_content, entries)).encode()


def _content(entry: _Entry) -> str:
    if entry.sha256 is not None:
        return f"{entry.path}\0{entry.sha256}\0"
    return "" if entry.link is None else f"{entry.path}\0->{entry.link}\0"


def check_signed_records(run: Run, statement: Statement) -> list[Check]:
    """Whether the rows of a complete run come to exactly what its statement says."""
    sums, records = Sums(), statement.records
    try:
        sums.read(report_lines.record_chunks(run))
    except msgspec.MsgspecError:
        return [_differs(run, records)]
    if (sums.count, sums.bytes, sums.digest.hex()) != records[:3]:
        return [_differs(run, records)]
    holds = _("The %(count)d records rebuilt from the database match the signed ones to the last byte.")
    return [Check("records", True, holds, {"count": sums.count}), _counts(sums, statement)]


def check_unsigned_records(run: Run) -> list[Check]:
    """Whether the rows of an unsigned import come to what its kept file says."""
    digest = RecordsDigest(run.records_count)
    for line in report_lines.record_lines(run):
        digest.add(line)
    kept = RecordsDigest(run.records_count)
    try:
        for line in legacy.record_lines(run):
            kept.add(line)
    except (LegacyFormatError, BodyError, OSError) as error:
        return [Check("records", False, _("The stored file cannot be read: %(reason)s."), {"reason": str(error)})]
    there = kept.finish()
    if digest.finish() != there or there.sha3_512 != bytes(run.records_digest).hex():
        return [_differs(run, there)]
    return [Check("records", True, _("The database rows match the stored file."))]


def _counts(sums: Sums, statement: Statement) -> Check:
    found = (sums.files, sums.size, sums.errors, sums.content.hex())
    said = (statement.files, statement.bytes_, statement.errors, statement.content)
    values = {"files": sums.files, "bytes": sums.size, "errors": sums.errors}
    if found != said:
        message = _(
            "The records add up to %(files)d files, %(bytes)d bytes, %(errors)d errors; the statement says otherwise."
        )
        return Check("counts", False, message, values)
    return Check("counts", True, _("%(files)d files, %(bytes)d bytes and %(errors)d errors, as signed."), values)


_WHERE = {
    (True, True): _(
        "The database rows are not what was signed. The first block that differs is %(block)d of "
        "%(blocks)d: from %(first_path)s to %(last_path)s. Paths that differ: %(paths)s."
    ),
    (True, False): _(
        "The database rows are not what was signed. The first block that differs is %(block)d of "
        "%(blocks)d: from %(first_path)s to %(last_path)s."
    ),
    (False, True): _(
        "The database rows are not what was signed: they end before block %(block)d of %(blocks)d. "
        "Paths that differ: %(paths)s."
    ),
    (False, False): _("The database rows are not what was signed: they end before block %(block)d of %(blocks)d."),
}
"""Whether the block holds any rows, and whether the uploaded bytes are still there to compare with."""


def _differs(run: Run, records: RecordsSummary) -> Check:
    """Where the rows are not what was signed: the first block that differs, and the paths, while the upload is kept."""
    found = locate(report_lines.record_lines(run), records) or Difference(len(records.blocks), "", "")
    values: dict[str, object] = {**found._asdict(), "blocks": len(records.blocks)}
    try:
        paths = list(islice(differing(report_lines.record_lines(run), _original(run)), SHOWN + 1))
    except (LegacyFormatError, BodyError, ReportError, ValueError, OSError):
        paths = []
    if paths:
        values["paths"] = ", ".join(map(printable_path, paths[:SHOWN])) + (" …" if len(paths) > SHOWN else "")
    return Check("records", False, _WHERE[bool(found.first_path), bool(paths)], values)


def _original(run: Run) -> Iterator[bytes]:
    if run.replica.origin == Replica.Origin.UNSIGNED:
        return legacy.record_lines(run)
    return inbox.record_lines(run)


def locate(lines: Iterator[bytes], records: RecordsSummary) -> Difference | None:
    """The first block of `lines` that is not that of `records`, with the paths that it holds now; None for no lines.

    Where the lines end before the signed ones do, the block is the first that is not whole.
    """
    size, block = max(1, -(-records.line_count // MAX_BLOCKS)), 0
    while batch := list(islice(lines, size)):
        block += 1
        here = hashlib.sha256(b"".join(batch)).hexdigest()
        if block > len(records.blocks) or here != records.blocks[block - 1]:
            return Difference(block, printable_path(_path(batch[0])), printable_path(_path(batch[-1])))
    return Difference(block + 1, "", "") if block < len(records.blocks) else None


def differing(here: Iterator[bytes], there: Iterator[bytes]) -> Iterator[str]:
    """Paths of which the lines differ between two bodies, in order: of entries, then of notes."""
    one, other, last = next(here, b""), next(there, b""), ""
    while one or other:
        if one == other:
            one, other = next(here, b""), next(there, b"")
            continue
        ours, theirs = _place(one), _place(other)
        path = min(ours, theirs)[1]
        if path != last:
            yield path
            last = path
        if ours <= theirs:
            one = next(here, b"")
        if theirs <= ours:
            other = next(there, b"")


def _place(line: bytes) -> tuple[int, str, str]:
    """Where a line stands in a body: entries before notes, by path; the end is behind all."""
    if not line:
        return (2, "", "")
    members = json.loads(line)
    return (int("note" in members), str(members["path"]), str(members.get("note", "")))


def _path(line: bytes) -> str:
    return str(json.loads(line)["path"])


def printable_path(path: str) -> str:
    """A path as it may be printed: what could be a control character is escaped, a long one cut."""
    safe = "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in path)
    return safe if len(safe) <= 200 else safe[:200] + "…"
