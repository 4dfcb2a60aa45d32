"""Keep the reports of one replica on disk.

`queue` holds reports that wait for delivery, in order; `sent` holds delivered reports for some days; `refused` holds
reports that the central server will never take. File names begin with the sequence, so that a sorted listing is the
chain.

A report that has its final name is complete and on disk. A file with another name was being written when the collector
died.
"""

from __future__ import annotations

import gzip
import re
import time
import zlib
from pathlib import Path
from typing import BinaryIO, Callable, List, NamedTuple, Optional

from scanner.collector.errors import StorageError
from scanner.collector.system import durable
from scanner.format.envelope import ENVELOPE_LIMIT, RUN_TYPE, Envelope, open_envelope, seal_envelope
from scanner.format.errors import ReportError
from scanner.format.signing import SigningKey
from scanner.format.statement import Statement, read_statement

REPORT_SUFFIX = ".jsonl.gz"
RECEIPT_SUFFIX = ".receipt.jsonl"
UNRECORDED_SUFFIX = ".unrecorded"
"""Ends the name of a refused report that has no place in the chain."""
DAMAGED_SUFFIX = ".damaged"
"""Ends the name of a report that can no longer be read."""
SUPERSEDED_SUFFIX = ".superseded"
"""Ends the name of a report that the central server lost and whose place another one has now."""

_REPORT_NAME = re.compile(r"(\d{10})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl\.gz\Z")
_SEQUENCE_DIGITS = 10
_GZIP_MAGIC = b"\x1f\x8b"
_COMPRESSION_LEVEL = 1  # higher levels take several times as long and save little: digests do not compress
_CHUNK_BYTES = 1 << 20
_DAY_SECONDS = 86400.0


class SpooledReport(NamedTuple):
    """A report in the spool, as the name of its file describes it."""

    path: Path
    sequence: int
    run: str


class ChainEnd(NamedTuple):
    """Newest readable statement of a spool."""

    sequence: int
    digest: str


class Spool:
    """Spool in the directory of a replica. Call `prepare` before writing. StorageError when it cannot be written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.queue = directory / "queue"
        self.sent = directory / "sent"
        self.refused = directory / "refused"
        # The two names of a queue that is being replaced, see `renumber_queue`.
        self._old_queue = directory / "queue.replaced"
        self._new_queue = directory / "queue.reissued"

    def prepare(self) -> None:
        """Make the directories, and complete or undo what a killed collector left unfinished."""
        durable.make_directory(self.directory)
        if self._old_queue.exists() and not self.queue.exists():
            durable.rename(self._new_queue, self.queue)
        _remove_directory(self._old_queue)
        _remove_directory(self._new_queue)

        for directory in (self.queue, self.sent, self.refused):
            durable.make_directory(directory)
            for unfinished in directory.glob(f"*{durable.TEMPORARY_SUFFIX}"):
                durable.remove_file(unfinished)

    def queued_reports(self) -> List[SpooledReport]:
        """Return the reports that wait for delivery, in the order in which they are sent."""
        return _list_reports(self.queue)

    def delivered_reports(self) -> List[SpooledReport]:
        """Return the reports that the central server has and that are still kept here, oldest first."""
        return _list_reports(self.sent)

    def chain_reports(self) -> List[SpooledReport]:
        """Return all reports that have a place in the chain and are still here, oldest first."""
        reports = self.queued_reports() + self.delivered_reports() + _list_reports(self.refused)
        return sorted(reports, key=lambda report: report.sequence)

    def newest(self) -> Optional[ChainEnd]:
        """Return the newest statement that can be read, or None for an empty spool. Set damaged reports aside."""
        for report in reversed(self.chain_reports()):
            envelope = self.load_envelope(report)
            if envelope is not None:
                return ChainEnd(report.sequence, envelope.digest)
        return None

    def has_lost_end(self) -> bool:
        """Return whether a damaged report is newer than all that can be read: it may have been delivered."""
        newest = self.newest()
        damaged_names = [path.name for path in self.refused.glob(f"*{REPORT_SUFFIX}{DAMAGED_SUFFIX}")]
        # A damaged file keeps its name, and with it its number.
        damaged_sequences = [int(name[:_SEQUENCE_DIGITS]) for name in damaged_names]
        newest_sequence = 0 if newest is None else newest.sequence
        return bool(damaged_sequences) and max(damaged_sequences) > newest_sequence

    def statement_digest(self, sequence: int) -> Optional[str]:
        """Return the digest of the statement with this sequence, or None when it is not here or damaged."""
        for report in self.chain_reports():
            if report.sequence != sequence:
                continue
            envelope = self.load_envelope(report)
            if envelope is not None:
                return envelope.digest
            return None
        return None

    def load_envelope(self, report: SpooledReport) -> Optional[Envelope]:
        """Return the envelope of a report. Set a damaged report aside and return None."""
        try:
            return read_envelope(report.path)
        except ReportError:
            durable.rename(report.path, self.refused / (report.path.name + DAMAGED_SUFFIX))
            return None

    def add_report(
        self, statement: Statement, body: BinaryIO, key: SigningKey, directory: Optional[Path] = None
    ) -> SpooledReport:
        """Sign `statement` and queue the report made of it and the lines in `body`. It is on disk when this returns."""
        name = f"{statement.sequence:0{_SEQUENCE_DIGITS}d}-{statement.run}{REPORT_SUFFIX}"
        path = (directory or self.queue) / name

        payload = statement.payload()
        read_statement(payload)  # never sign what the central server would refuse
        envelope_line = seal_envelope(RUN_TYPE, payload, key.sign, key.keyid)

        self._write_report(path, envelope_line, body)
        return SpooledReport(path, statement.sequence, statement.run)

    def _write_report(self, path: Path, envelope_line: bytes, body: BinaryIO) -> None:
        with durable.create_file(path) as file:
            # No name and no time in the gzip header: the same report gives the same bytes.
            with gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, file, mtime=0) as compressed:
                compressed.write(envelope_line)
                for chunk in iter(lambda: body.read(_CHUNK_BYTES), b""):
                    compressed.write(chunk)

    def sign_again(self, report: SpooledReport, envelope: Envelope, key: SigningKey) -> None:
        """Replace the signature of a queued report with this envelope: the key that made it was replaced by `key`.

        Statement and lines stay byte for byte, and with them the place in the chain.
        """
        line = seal_envelope(RUN_TYPE, envelope.payload, key.sign, key.keyid)
        with open_body(report.path) as body:
            self._write_report(report.path, line, body)

    def mark_sent(self, report: SpooledReport, receipt: Optional[bytes]) -> None:
        """Move a delivered report to `sent`, beside its receipt.

        `receipt` is the signed reply, None when the report was delivered before and its receipt was lost.
        """
        # The receipt comes first: when the collector dies in between, the report is sent again and gets the same one.
        if receipt is not None:
            durable.write_file(self.sent / report.path.name.replace(REPORT_SUFFIX, RECEIPT_SUFFIX), receipt)
        durable.rename(report.path, self.sent / report.path.name)

    def keep_envelope(self, report: SpooledReport) -> None:
        """Move the envelope of a report that was copied elsewhere to `sent`: the chain goes on from it."""
        with open_report(report.path) as file:
            line = file.readline(ENVELOPE_LIMIT + 1)

        # Written before the report is removed: at no instant is the end of the chain missing.
        durable.write_file(self.sent / report.path.name, gzip.compress(line, mtime=0))
        durable.remove_file(report.path)

    def mark_refused(self, report: SpooledReport, recorded: bool) -> None:
        """Set aside a report that the central server will never take. `recorded` says that it has a place there."""
        name = report.path.name if recorded else report.path.name + UNRECORDED_SUFFIX
        durable.rename(report.path, self.refused / name)

    def requeue_from(self, sequence: int) -> None:
        """Queue the delivered reports from `sequence` on again: the central server has lost them."""
        # From the newest to the oldest: at every instant, `sent` and then `queue` are the chain in order.
        for report in reversed(self.delivered_reports()):
            if report.sequence >= sequence:
                durable.rename(report.path, self.queue / report.path.name)

    def prune(self, keep_days: float) -> None:
        """Remove reports that were delivered more than `keep_days` ago, but never the newest one of the chain."""
        newest = self.chain_reports()[-1:]  # the next report names its digest
        oldest_kept_time = time.time() - keep_days * _DAY_SECONDS
        for report in self.delivered_reports():
            receipt = report.path.with_name(report.path.name.replace(REPORT_SUFFIX, RECEIPT_SUFFIX))
            # The receipt was written at delivery. The report itself may have waited in the queue for long.
            dated_file = receipt if receipt.exists() else report.path
            if report not in newest and dated_file.stat().st_mtime < oldest_kept_time:
                durable.remove_file(report.path)
                durable.remove_file(receipt)

    def renumber_queue(
        self, sequence: int, previous: Optional[str], break_reason: str, key: SigningKey, new_run_id: Callable[[], str]
    ) -> None:
        """Give the queued reports new numbers from `sequence` on, after the statement with the digest `previous`.

        The lines stay as they are. Each report becomes a run of its own with a new uuid, the first one with the break
        `break_reason`. Delivered reports that had these numbers leave the chain.

        The new queue is written beside the old one and takes its place by two renames, which `prepare` completes when
        the collector dies between them.
        """
        first_sequence = sequence
        next_break: Optional[str] = break_reason

        durable.make_directory(self._new_queue)
        for report in self.queued_reports():
            envelope = self.load_envelope(report)
            if envelope is None:
                continue

            statement = read_statement(envelope.payload)
            renumbered = statement._replace(
                run=new_run_id(),
                sequence=sequence,
                previous=previous,
                break_=next_break or statement.break_,
            )
            with open_body(report.path) as body:
                new_report = self.add_report(renumbered, body, key, self._new_queue)
            previous = read_envelope(new_report.path).digest
            sequence += 1
            next_break = None

        # These numbers are about to be given to other reports.
        for report in self.delivered_reports():
            if report.sequence >= first_sequence:
                durable.rename(report.path, self.refused / (report.path.name + SUPERSEDED_SUFFIX))
        durable.rename(self.queue, self._old_queue)
        durable.rename(self._new_queue, self.queue)
        _remove_directory(self._old_queue)


def read_envelope(path: Path) -> Envelope:
    """Return the envelope of a report file, compressed or not. Raises ReportError when it cannot be read."""
    try:
        with open_report(path) as file:
            return open_envelope(file.readline(ENVELOPE_LIMIT + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise ReportError(f"cannot read {path}: {error}") from error


def open_report(path: Path) -> BinaryIO:
    """Open a report file, compressed or not, and return a file of its uncompressed bytes."""
    # The content decides, not the name: a report may have been unpacked and kept its name.
    with path.open("rb") as file:
        is_compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    if is_compressed:
        return gzip.open(path, "rb")  # type: ignore[return-value]  # GzipFile reads as a BinaryIO does
    return path.open("rb")


def open_body(path: Path) -> BinaryIO:
    """Open a report file and return a file of the uncompressed bytes below its envelope."""
    file = open_report(path)
    file.readline(ENVELOPE_LIMIT + 1)
    return file


def _list_reports(directory: Path) -> List[SpooledReport]:
    """Return the reports in a directory in the order of the chain. Files with other names are ignored."""
    if not directory.exists():
        return []
    try:
        names = [path.name for path in directory.iterdir()]
    except OSError as error:
        raise StorageError(f"cannot read {directory}: {error.strerror}") from error

    reports = []
    for name in names:
        match = _REPORT_NAME.match(name)
        if match:
            reports.append(SpooledReport(directory / name, int(match[1]), match[2]))
    return sorted(reports, key=lambda report: (report.sequence, report.path.name))


def _remove_directory(directory: Path) -> None:
    if not directory.exists():
        return
    with durable.storage_errors(directory):
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
