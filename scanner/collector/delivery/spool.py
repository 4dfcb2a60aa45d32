"""The reports of one replica on this server: `queue` waits for delivery in order, `sent` is kept some days, `refused`
is what the central server will never take. File names begin with the sequence, so that a listing is the chain.

A report that has its name is whole and on disk. What has another name was being written when the collector died.
"""

from __future__ import annotations

import gzip
import re
import time
import zlib
from pathlib import Path
from typing import BinaryIO, Callable, Iterator, List, NamedTuple, Optional, Tuple

from scanner.collector.errors import StorageError
from scanner.collector.system import durable
from scanner.format.envelope import ENVELOPE_LIMIT, RUN_TYPE, Envelope, open_envelope, seal_envelope
from scanner.format.errors import ReportError
from scanner.format.signing import SigningKey
from scanner.format.statement import Statement, read_statement

REPORT_SUFFIX = ".jsonl.gz"
RECEIPT_SUFFIX = ".receipt.jsonl"
UNRECORDED_SUFFIX = ".unrecorded"
"""In the name of a refused report that has no place in the chain."""
DAMAGED_SUFFIX = ".damaged"
SUPERSEDED_SUFFIX = ".superseded"
"""In the name of a report that the central server lost and whose place another one has now."""
_NAME = re.compile(r"(\d{10})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl\.gz\Z")
_COMPRESSION = 1
_CHUNK = 1 << 20
_DAY = 86400.0


class SpooledReport(NamedTuple):
    """A report in the spool, known by its file's name."""

    path: Path
    sequence: int
    run: str


class Spool:
    """The spool in the folder of a replica. `prepare` makes it ready; StorageError when it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue, self.sent, self.refused = (folder / name for name in ("queue", "sent", "refused"))

    def prepare(self) -> None:
        """Make the folders, and end or undo what a killed collector left half done."""
        durable.folder(self.folder)
        replaced, reissued = self.folder / "queue.replaced", self.folder / "queue.reissued"
        if replaced.exists() and not self.queue.exists():
            durable.rename(reissued, self.queue)
        for left in (replaced, reissued):
            _remove_folder(left)
        for place in (self.queue, self.sent, self.refused):
            durable.folder(place)
            for partial in place.glob(f"*{durable.TEMPORARY}"):
                durable.remove(partial)

    def queued(self) -> List[SpooledReport]:
        """What waits, in the order in which it goes out."""
        return _reports(self.queue)

    def delivered(self) -> List[SpooledReport]:
        """What the central server has and is still kept here, oldest first."""
        return _reports(self.sent)

    def chain(self) -> List[SpooledReport]:
        """All that has its place in the chain and is still here, oldest first."""
        return sorted(self.queued() + self.delivered() + _reports(self.refused), key=lambda report: report.sequence)

    def newest(self) -> Optional[Tuple[int, str]]:
        """Sequence and digest of the newest statement here that can be read; None for an empty spool.

        A report that cannot be read any more is set aside.
        """
        for report in reversed(self.chain()):
            envelope = self.envelope(report)
            if envelope is not None:
                return report.sequence, envelope.digest
        return None

    def end_is_lost(self) -> bool:
        """Whether a report that was set aside as damaged is newer than all that can be read: it may have been
        delivered."""
        newest = self.newest()
        damaged = [int(path.name[:10]) for path in self.refused.glob(f"*{REPORT_SUFFIX}{DAMAGED_SUFFIX}")]
        return bool(damaged) and max(damaged) > (newest[0] if newest else 0)

    def digest(self, sequence: int) -> Optional[str]:
        """The digest of the statement with this sequence, when it is here."""
        for report in self.chain():
            if report.sequence == sequence:
                envelope = self.envelope(report)
                return None if envelope is None else envelope.digest
        return None

    def envelope(self, report: SpooledReport) -> Optional[Envelope]:
        """The envelope of a report; None when the file is damaged, which sets it aside."""
        try:
            return read_envelope(report.path)
        except ReportError:
            durable.rename(report.path, self.refused / (report.path.name + DAMAGED_SUFFIX))
            return None

    def add_report(
        self, statement: Statement, body: BinaryIO, key: SigningKey, folder: Optional[Path] = None
    ) -> SpooledReport:
        """Sign `statement`, and queue the report of it and of the lines in `body`. On disk when this returns."""
        name = f"{statement.sequence:010d}-{statement.run}{REPORT_SUFFIX}"
        path = (folder or self.queue) / name
        payload = statement.payload()
        read_statement(payload)  # what would be refused elsewhere is not signed here
        line = seal_envelope(RUN_TYPE, payload, key.sign, key.keyid)
        with durable.create(path) as file:
            with gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as packed:
                packed.write(line)
                for chunk in iter(lambda: body.read(_CHUNK), b""):
                    packed.write(chunk)
        return SpooledReport(path, statement.sequence, statement.run)

    def mark_sent(self, report: SpooledReport, receipt: Optional[bytes]) -> None:
        """Keep a delivered report beside its receipt, the signed answer; without one when it was delivered before."""
        if receipt is not None:
            durable.write(self.sent / report.path.name.replace(REPORT_SUFFIX, RECEIPT_SUFFIX), receipt)
        durable.rename(report.path, self.sent / report.path.name)

    def keep_envelope(self, report: SpooledReport) -> None:
        """Keep of a report that was copied elsewhere what the chain goes on from."""
        with open_report(report.path) as file:
            line = file.readline(ENVELOPE_LIMIT + 1)
        durable.write(self.sent / report.path.name, gzip.compress(line, mtime=0))
        durable.remove(report.path)

    def mark_refused(self, report: SpooledReport, recorded: bool) -> None:
        """Keep a report that the central server will never take; `recorded` when it has a place in the chain."""
        name = report.path.name if recorded else report.path.name + UNRECORDED_SUFFIX
        durable.rename(report.path, self.refused / name)

    def take_back(self, sequence: int) -> None:
        """Queue again what was delivered from `sequence` on: the central server lost it."""
        for report in reversed(self.delivered()):
            if report.sequence >= sequence:
                durable.rename(report.path, self.queue / report.path.name)

    def prune(self, keep_days: float) -> None:
        """Remove what was delivered longer ago than `keep_days`, but never the newest report: the chain goes on from
        it."""
        newest = self.chain()[-1:]
        for report in self.delivered():
            receipt = report.path.with_name(report.path.name.replace(REPORT_SUFFIX, RECEIPT_SUFFIX))
            since = receipt if receipt.exists() else report.path
            if report not in newest and since.stat().st_mtime < time.time() - keep_days * _DAY:
                durable.remove(report.path)
                durable.remove(receipt)

    def reissue(
        self, sequence: int, previous: Optional[str], why: str, key: SigningKey, run: Callable[[], str]
    ) -> None:
        """Give the queued reports new numbers from `sequence` on, behind the statement with the digest `previous`.

        The lines stay as they are; each report becomes a run of its own, the first with the break `why`. The queue is
        replaced as a whole, and what was delivered with these numbers before leaves the chain.
        """
        target = durable.folder(self.folder / "queue.reissued")
        place, reason = sequence, why  # type: int, Optional[str]
        for report in self.queued():
            envelope = self.envelope(report)
            if envelope is None:
                continue
            statement = read_statement(envelope.payload)
            renewed = statement._replace(
                run=run(), sequence=sequence, previous=previous, break_=reason or statement.break_
            )
            with open_body(report.path) as body:
                made = self.add_report(renewed, body, key, target)
            sequence, previous, reason = sequence + 1, read_envelope(made.path).digest, None
        for report in self.delivered():
            if report.sequence >= place:
                durable.rename(report.path, self.refused / (report.path.name + SUPERSEDED_SUFFIX))
        durable.rename(self.queue, self.folder / "queue.replaced")
        durable.rename(target, self.queue)
        _remove_folder(self.folder / "queue.replaced")


def read_envelope(path: Path) -> Envelope:
    """The envelope of a report file, compressed or not; ReportError when it has none or cannot be read."""
    try:
        with open_report(path) as file:
            return open_envelope(file.readline(ENVELOPE_LIMIT + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise ReportError(f"cannot read {path}: {error}") from error


def open_report(path: Path) -> BinaryIO:
    """The uncompressed bytes of a report file."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]  # GzipFile reads alike


def open_body(path: Path) -> BinaryIO:
    """The uncompressed bytes of a report file below its envelope."""
    file = open_report(path)
    file.readline(ENVELOPE_LIMIT + 1)
    return file


def _reports(folder: Path) -> List[SpooledReport]:
    return sorted(_named(folder), key=lambda report: (report.sequence, report.path.name))


def _named(folder: Path) -> Iterator[SpooledReport]:
    try:
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
    except OSError as error:
        raise StorageError(f"cannot read {folder}: {error.strerror}") from error
    for name in names:
        match = _NAME.match(name)
        if match:
            yield SpooledReport(folder / name, int(match[1]), match[2])


def _remove_folder(folder: Path) -> None:
    if folder.exists():
        with durable.storage_errors(folder):
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
