"""Test the spool: complete files or none, in the order of the chain."""

from __future__ import annotations

import gzip
import os
import time
from io import BytesIO
from pathlib import Path

import pytest

from scanner.collector.delivery.spool import Spool, open_body, read_envelope
from scanner.collector.errors import StorageError
from scanner.collector.system import durable
from scanner.format.errors import ReportError
from scanner.format.signing import SigningKey
from tests.scanner.format.statements import UUID, make_statement

DAY_SECONDS = 86400


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """Make a key."""
    return SigningKey.create(tmp_path / "key")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Make an empty spool."""
    empty_spool = Spool(tmp_path / "spool")
    empty_spool.prepare()
    return empty_spool


def add_reports(spool: Spool, key: SigningKey, *sequences: int) -> None:
    """Queue reports with these numbers."""
    for sequence in sequences:
        previous = None if sequence == 1 else "0" * 128
        new_statement = make_statement(run=UUID.format(sequence), sequence=sequence, previous=previous)
        spool.add_report(new_statement, BytesIO(b"lines\n"), key)


def queued_sequences(spool: Spool) -> list[int]:
    """Return the numbers of the queued reports."""
    return [report.sequence for report in spool.queued_reports()]


def test_report_is_one_gzip_member(spool: Spool, key: SigningKey) -> None:
    """A report is one gzip member without name and time, so that the same input gives the same bytes."""
    add_reports(spool, key, 1)
    (report,) = spool.queued_reports()
    compressed = report.path.read_bytes()

    assert compressed[:2] == b"\x1f\x8b"
    assert compressed[3] == 0  # no name
    assert compressed[4:8] == bytes(4)  # no time
    assert gzip.decompress(compressed).endswith(b"}\nlines\n")
    assert read_envelope(report.path).verify(key.public)
    with open_body(report.path) as body:
        assert body.read() == b"lines\n"

    report.path.unlink()
    add_reports(spool, key, 1)
    assert spool.queued_reports()[0].path.read_bytes() == compressed


def test_only_what_the_format_allows_is_signed(spool: Spool, key: SigningKey) -> None:
    """A statement that the central server would refuse is not signed."""
    with pytest.raises(ReportError):
        spool.add_report(make_statement(sequence=0), BytesIO(), key)
    assert spool.queued_reports() == []


def test_order_and_newest(spool: Spool, key: SigningKey) -> None:
    """The queue is in the order of the chain, whose end is the newest of queued, sent and refused reports."""
    add_reports(spool, key, 8, 2, 7)
    assert queued_sequences(spool) == [2, 7, 8]

    spool.mark_sent(spool.queued_reports()[0], b"receipt")
    newest = spool.newest()
    assert newest is not None
    assert newest.sequence == 8

    spool.mark_refused(spool.queued_reports()[1], recorded=False)
    assert spool.newest() == (7, spool.statement_digest(7))

    spool.mark_refused(spool.queued_reports()[0], recorded=True)
    assert spool.newest() == (7, spool.statement_digest(7))
    assert spool.queued_reports() == []
    assert spool.statement_digest(5) is None


def test_prune(spool: Spool, key: SigningKey) -> None:
    """Old delivered reports are removed with their receipts. The newest of the chain and the queue stay."""
    add_reports(spool, key, 1, 2, 3)
    for report in spool.queued_reports():
        spool.mark_sent(report, b"receipt")
    forty_days_ago = time.time() - 40 * DAY_SECONDS
    for path in spool.sent.iterdir():
        os.utime(path, (forty_days_ago, forty_days_ago))

    spool.prune(50)
    assert len(spool.delivered_reports()) == 3

    spool.prune(30)
    assert [report.sequence for report in spool.delivered_reports()] == [3]

    add_reports(spool, key, 4)
    spool.prune(0)
    assert spool.delivered_reports() == []
    assert queued_sequences(spool) == [4]


def test_leftovers(spool: Spool, key: SigningKey) -> None:
    """A file that was being written when the collector died is removed, and never taken for a report."""
    add_reports(spool, key, 1)
    (spool.queue / "0000000002-x.jsonl.gz.part").write_bytes(b"half")
    (spool.queue / "notes.txt").write_text("of somebody else")

    spool.prepare()

    assert queued_sequences(spool) == [1]
    assert not list(spool.queue.glob("*.part"))
    assert (spool.queue / "notes.txt").exists()


def test_full_disk_leaves_nothing(spool: Spool, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that cannot be written or flushed leaves no file, and the error says why."""

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="No space left"):
        add_reports(spool, key, 1)
    assert list(spool.queue.iterdir()) == []


def test_flushes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is flushed before it gets its name, and its directory afterwards."""
    steps: list[str] = []
    real_fsync = os.fsync
    real_replace = os.replace

    def fsync(descriptor: int) -> None:
        steps.append("directory" if os.path.isdir(f"/dev/fd/{descriptor}") else "file")
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        steps.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    durable.write_file(tmp_path / "file", b"content")

    assert steps == ["file", "rename", "directory"]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("number", "is_error"), [(22, False), (5, True)], ids=["EINVAL", "EIO"])
def test_directory_that_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_error: bool
) -> None:
    """EINVAL for a directory means that its file system needs no flush. Any other number is an error."""

    def fail(descriptor: int) -> None:
        raise OSError(number, "fsync")

    monkeypatch.setattr(os, "fsync", fail)
    if is_error:
        with pytest.raises(OSError):
            durable.sync_directory(tmp_path)
    else:
        durable.sync_directory(tmp_path)
