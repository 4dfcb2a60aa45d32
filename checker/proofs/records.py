"""Rebuild the records of a run from the rows of the database, and compare them with what was signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec
from django.utils.translation import gettext_noop as _

from checker.proofs.verification import Check
from scanner.db import report_lines
from scanner.errors import BodyError, LegacyFormatError
from scanner.format.digests import RecordsDigest
from scanner.format.errors import ReportError
from scanner.format.records import RecordsSummary, block_size
from scanner.format.statement import Statement
from scanner.format.threaded_digest import ThreadedSha3
from scanner.ingest import inbox, legacy
from scanner.models import Replica, Run

MAX_PATHS = 10
"""Paths that are named at most."""
MAX_PATH_LENGTH = 200
"""Characters of a path that are printed at most."""


class Difference(NamedTuple):
    """The first block of records that is not what was signed."""

    block: int
    """Counted from 1."""
    first_path: str
    """Empty, like `last_path`, where the rows end before this block."""
    last_path: str


# gc=False: an entry holds text and numbers, so it is part of no cycle, and the garbage collector need not visit it.
class _Entry(msgspec.Struct, gc=False):
    path: str
    size: int = 0
    sha256: str | None = None
    link: str | None = None
    error: str | None = None


_decode_entries = msgspec.json.Decoder(_Entry).decode_lines


class RecordTotals:
    """Sums over the lines of a report. Their form is not checked: their digest is compared with the signed one."""

    def __init__(self) -> None:
        self.count = 0
        """Lines."""
        self.bytes = 0
        """Bytes of the lines."""
        self.files = 0
        self.size = 0
        """Bytes of the files."""
        self.errors = 0
        self.digest = b""
        self.content = b""
        """Digest of paths and contents alone."""

    def add_all(self, chunks: Iterable[bytes]) -> None:
        """Add all lines of a report: entries, then notes. Raise msgspec.MsgspecError for what is not an entry.

        A chunk holds whole lines, either entries or notes. Both digests are computed on threads of their own, beside
        the decoding.
        """
        with ThreadedSha3() as digest, ThreadedSha3() as content:
            for chunk in chunks:
                digest.update(chunk)
                self.count += chunk.count(b"\n")
                self.bytes += len(chunk)

                # One look for a chunk: entries and notes never share one.
                if not chunk.startswith(b'{"note":'):
                    content.update(self._add_entries(_decode_entries(chunk)))

            self.digest = digest.digest()
            self.content = content.digest()

    def _add_entries(self, entries: list[_Entry]) -> bytes:
        """Count entries. Return their part of the content, as `scanner.format.digests.ContentDigest` has it."""
        files = [entry for entry in entries if entry.sha256 is not None]
        self.files += len(files)
        self.size += sum([entry.size for entry in files])

        # Most chunks have files alone. There are a million entries, so that lists are worth more than generators.
        if len(files) == len(entries):
            return "".join([f"{entry.path}\0{entry.sha256}\0" for entry in files]).encode()

        self.errors += sum(entry.error is not None for entry in entries)
        return "".join(map(_content, entries)).encode()


def _content(entry: _Entry) -> str:
    if entry.sha256 is not None:
        return f"{entry.path}\0{entry.sha256}\0"
    if entry.link is not None:
        return f"{entry.path}\0->{entry.link}\0"
    return ""


def check_signed_records(run: Run, statement: Statement) -> list[Check]:
    """Check that the rows of a complete run give exactly the records of its statement."""
    signed = statement.records
    totals = RecordTotals()
    try:
        totals.add_all(report_lines.record_chunks(run))
    except msgspec.MsgspecError:
        return [_describe_difference(run, signed)]

    # Without the blocks: they locate a difference, and the digest proves that there is none.
    if (totals.count, totals.bytes, totals.digest.hex()) != signed[:3]:
        return [_describe_difference(run, signed)]

    message = _("The %(count)d records rebuilt from the database match the signed ones to the last byte.")
    return [Check("records", True, message, {"count": totals.count}), _check_totals(totals, statement)]


def check_unsigned_records(run: Run) -> list[Check]:
    """Check that the rows of an unsigned import give the records of its stored file."""
    from_rows = RecordsDigest(run.records_count)
    for line in report_lines.record_lines(run):
        from_rows.add(line)

    from_file = RecordsDigest(run.records_count)
    try:
        for line in legacy.record_lines(run):
            from_file.add(line)
    except (LegacyFormatError, BodyError, OSError) as error:
        return [Check("records", False, _("The stored file cannot be read: %(reason)s."), {"reason": str(error)})]

    expected = from_file.finish()
    if from_rows.finish() != expected or expected.sha3_512 != bytes(run.records_digest).hex():
        return [_describe_difference(run, expected)]
    return [Check("records", True, _("The database rows match the stored file."))]


def _check_totals(totals: RecordTotals, statement: Statement) -> Check:
    rebuilt = (totals.files, totals.size, totals.errors, totals.content.hex())
    signed = (statement.files, statement.bytes_, statement.errors, statement.content)
    values = {"files": totals.files, "bytes": totals.size, "errors": totals.errors}
    if rebuilt != signed:
        message = _(
            "The records add up to %(files)d files, %(bytes)d bytes, %(errors)d errors; the statement says otherwise."
        )
        return Check("counts", False, message, values)
    return Check("counts", True, _("%(files)d files, %(bytes)d bytes and %(errors)d errors, as signed."), values)


_DIFFERENCE_MESSAGES = {
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
"""By whether the block holds any rows, and whether the uploaded bytes are still there to compare with."""


def _describe_difference(run: Run, records: RecordsSummary) -> Check:
    """Return the check that failed: the first block that differs, and the paths, while the upload is stored."""
    difference = find_difference(report_lines.record_lines(run), records)
    if difference is None:
        difference = Difference(len(records.blocks), "", "")
    values: dict[str, object] = {**difference._asdict(), "blocks": len(records.blocks)}

    paths = _differing_paths(run)
    if paths:
        more = ""
        if len(paths) > MAX_PATHS:
            more = " …"
        values["paths"] = ", ".join(printable_path(path) for path in paths[:MAX_PATHS]) + more
    message = _DIFFERENCE_MESSAGES[bool(difference.first_path), bool(paths)]
    return Check("records", False, message, values)


def _differing_paths(run: Run) -> list[str]:
    """Return one path more than are named, or none when the upload is gone or cannot be read."""
    # The upload only helps to name paths. Without it the check has failed all the same.
    try:
        return list(
            islice(iterate_differing_paths(report_lines.record_lines(run), _uploaded_lines(run)), MAX_PATHS + 1)
        )
    except (LegacyFormatError, BodyError, ReportError, ValueError, OSError):
        return []


def _uploaded_lines(run: Run) -> Iterator[bytes]:
    if run.replica.origin == Replica.Origin.UNSIGNED:
        return legacy.record_lines(run)
    return inbox.record_lines(run)


def find_difference(lines: Iterator[bytes], records: RecordsSummary) -> Difference | None:
    """Return the first block of `lines` that differs from `records`, with the paths that it holds now.

    Where the lines end too early, it is the first block that is not whole. None: all blocks are the same.
    """
    size = block_size(records.line_count)
    block = 0
    while batch := list(islice(lines, size)):
        block += 1
        digest = hashlib.sha256(b"".join(batch)).hexdigest()
        if block > len(records.blocks) or digest != records.blocks[block - 1]:
            return Difference(block, printable_path(_path(batch[0])), printable_path(_path(batch[-1])))

    if block < len(records.blocks):
        return Difference(block + 1, "", "")
    return None


def iterate_differing_paths(rebuilt: Iterator[bytes], uploaded: Iterator[bytes]) -> Iterator[str]:
    """Yield the paths of which the lines differ between two bodies, in the order of a body. Memory stays flat."""
    rebuilt_line = next(rebuilt, b"")
    uploaded_line = next(uploaded, b"")
    last_path = ""
    while rebuilt_line or uploaded_line:
        if rebuilt_line == uploaded_line:
            rebuilt_line = next(rebuilt, b"")
            uploaded_line = next(uploaded, b"")
            continue

        rebuilt_position = _position(rebuilt_line)
        uploaded_position = _position(uploaded_line)
        path = min(rebuilt_position, uploaded_position).path
        if path != last_path:
            yield path
            last_path = path

        # Only the body that is behind goes on, so that a line too many does not make all others differ.
        if rebuilt_position <= uploaded_position:
            rebuilt_line = next(rebuilt, b"")
        if uploaded_position <= rebuilt_position:
            uploaded_line = next(uploaded, b"")


class _Position(NamedTuple):
    """The place of a line in a body: entries before notes, each in the order of their paths."""

    section: int
    path: str
    note: str


_END = _Position(2, "", "")


def _position(line: bytes) -> _Position:
    if not line:
        return _END
    members = json.loads(line)
    return _Position(int("note" in members), str(members["path"]), str(members.get("note", "")))


def _path(line: bytes) -> str:
    return str(json.loads(line)["path"])


def printable_path(path: str) -> str:
    """Return a path as it may be printed: what could be a control character is escaped, a long path is cut."""
    escaped = ""
    for character in path:
        if character.isprintable():
            escaped += character
        else:
            escaped += f"\\u{ord(character):04x}"

    if len(escaped) <= MAX_PATH_LENGTH:
        return escaped
    return escaped[:MAX_PATH_LENGTH] + "…"
