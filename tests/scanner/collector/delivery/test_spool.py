"""The spool: whole files or none, in the order of the chain."""

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
from tests.scanner.format.test_report import UUID, statement


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """A key."""
    return SigningKey.create(tmp_path / "key")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    made = Spool(tmp_path / "spool")
    made.prepare()
    return made


def put(spool: Spool, key: SigningKey, *sequences: int) -> None:
    """Queue reports with these numbers."""
    for sequence in sequences:
        previous = None if sequence == 1 else "0" * 128
        made = statement(run=UUID.format(sequence), sequence=sequence, previous=previous)
        spool.add_report(made, BytesIO(b"lines\n"), key)


def test_report_is_one_gzip_member(spool: Spool, key: SigningKey) -> None:
    """A report is envelope and lines in one gzip member without name or time: the same input gives the same bytes."""
    put(spool, key, 1)
    (report,) = spool.queued_reports()
    packed = report.path.read_bytes()
    assert packed[:2] == b"\x1f\x8b" and packed[4:8] == bytes(4) and packed[3] == 0
    assert gzip.decompress(packed).endswith(b"}\nlines\n")
    assert read_envelope(report.path).verify(key.public)
    with open_body(report.path) as body:
        assert body.read() == b"lines\n"
    again = packed
    report.path.unlink()
    put(spool, key, 1)
    assert spool.queued_reports()[0].path.read_bytes() == again


def test_only_what_the_format_allows_is_signed(spool: Spool, key: SigningKey) -> None:
    """A statement that the other side would refuse is not signed."""
    with pytest.raises(ReportError):
        spool.add_report(statement(sequence=0), BytesIO(), key)
    assert spool.queued_reports() == []


def test_order_and_newest(spool: Spool, key: SigningKey) -> None:
    """The queue is in the order of the sequence; the newest of queue, sent and refused is where the chain goes on."""
    put(spool, key, 8, 2, 7)
    assert [report.sequence for report in spool.queued_reports()] == [2, 7, 8]
    spool.mark_sent(spool.queued_reports()[0], b"receipt")
    newest = spool.newest()
    assert newest is not None and newest[0] == 8
    spool.mark_refused(spool.queued_reports()[1], recorded=False)
    assert spool.newest() == (7, spool.statement_digest(7))
    spool.mark_refused(spool.queued_reports()[0], recorded=True)
    assert spool.newest() == (7, spool.statement_digest(7)) and spool.queued_reports() == []
    assert spool.statement_digest(5) is None


def test_prune(spool: Spool, key: SigningKey) -> None:
    """Old delivered reports go with their receipts; the newest of the chain stays; what waits is never touched."""
    put(spool, key, 1, 2, 3)
    for report in spool.queued_reports():
        spool.mark_sent(report, b"receipt")
    old = time.time() - 40 * 86400
    for path in spool.sent.iterdir():
        os.utime(path, (old, old))
    spool.prune(50)
    assert len(spool.delivered_reports()) == 3
    spool.prune(30)
    assert [report.sequence for report in spool.delivered_reports()] == [3]
    put(spool, key, 4)
    spool.prune(0)
    assert spool.delivered_reports() == [] and [report.sequence for report in spool.queued_reports()] == [4]


def test_leftovers(spool: Spool, key: SigningKey) -> None:
    """What was being written when the collector died is removed and never taken for a report."""
    put(spool, key, 1)
    (spool.queue / "0000000002-x.jsonl.gz.part").write_bytes(b"half")
    (spool.queue / "notes.txt").write_text("of somebody else")
    spool.prepare()
    assert [report.sequence for report in spool.queued_reports()] == [1]
    assert not list(spool.queue.glob("*.part")) and (spool.queue / "notes.txt").exists()


def test_full_disk_leaves_nothing(spool: Spool, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that cannot be written or flushed whole leaves no file and says where it failed."""

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="No space left"):
        put(spool, key, 1)
    assert list(spool.queue.iterdir()) == []


def test_flushes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is flushed before it gets its name, and the folder afterwards."""
    done: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        done.append("folder" if os.path.isdir(f"/dev/fd/{descriptor}") else "file")
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        done.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    durable.write(tmp_path / "file", b"content")
    assert done == ["file", "rename", "folder"]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_folder_that_cannot_be_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EINVAL for a folder is a file system that needs no flush; any other error is one."""
    for number, raises in ((22, False), (5, True)):

        def fail(descriptor: int, number: int = number) -> None:
            raise OSError(number, "fsync")

        monkeypatch.setattr(os, "fsync", fail)
        if raises:
            with pytest.raises(OSError):
                durable.sync_folder(tmp_path)
        else:
            durable.sync_folder(tmp_path)
