"""The inbox: uploads as they were sent, read again, forgotten, and what a crash left."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from scanner.errors import BodyError, Busy
from scanner.ingest import inbox
from scanner.models import Replica, Run
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db
ROWS = [make.file_row(f"f{number:05}") for number in range(3000)]


@pytest.fixture
def replica() -> Replica:
    return make.make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    return make.make_key(replica.server)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_as_it_was_sent(replica: Replica, signer: Signer, encoding: str) -> None:
    """The kept bytes are those that were sent; unpacked they are the report, whole and by line."""
    report = make.make_report(replica, signer, ROWS)
    sent = report.gzip if encoding == "gzip" else report.data
    run = make.receive(replica.server, sent).run
    with inbox.report_storage().open(run.upload) as file:
        assert file.read() == sent
    with inbox.open_upload(run) as plain:
        assert b"".join(iter(lambda: plain.read(1000), b"")) == report.data

    assert list(inbox.record_lines(run)) == report.body.splitlines(keepends=True)


def test_no_lines(replica: Replica, signer: Signer) -> None:
    """A report of nothing has no lines."""
    assert list(inbox.record_lines(make.accept(replica, signer))) == []


def test_forgotten(replica: Replica, signer: Signer) -> None:
    """A deleted upload is gone on the disk and in the row; its size stays known."""
    run = make.accept(replica, signer, ROWS)
    name = run.upload
    inbox.delete_upload(run)
    run.refresh_from_db()

    assert (run.upload, run.upload_size > 0, inbox.report_storage().exists(name)) == ("", True, False)
    with pytest.raises(FileNotFoundError), inbox.open_upload(run):
        pass


def test_rotten(replica: Replica, signer: Signer) -> None:
    """Kept bytes that rotted are an error, never a shorter report."""
    run = make.accept(replica, signer, ROWS)
    path = inbox.report_storage().path(run.upload)
    with open(path, "r+b") as file:
        file.truncate(run.upload_size - 20)

    with pytest.raises(BodyError):
        list(inbox.record_lines(run))


def test_orphans(replica: Replica, signer: Signer) -> None:
    """A file that no run names is removed after a day; what a run names, and what is young, stays."""
    run = make.accept(replica, signer, ROWS)
    kept = inbox.report_storage()
    for name, days in (("x/old.jsonl", 2), ("x/.old.jsonl.part", 2), ("x/young.jsonl", 0)):
        target = kept.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb"):
            then = (timezone.now() - timedelta(days=days)).timestamp()
            os.utime(target, (then, then))

    then = (timezone.now() - timedelta(days=9)).timestamp()
    os.utime(kept.path(run.upload), (then, then))

    assert inbox.remove_orphans() == 2
    assert {name for name in kept.names() if name.startswith("x/")} == {"x/young.jsonl"}
    assert kept.exists(run.upload)

    kept.delete("x/young.jsonl")


def test_a_disk_that_is_full(replica: Replica, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that cannot be written is answered 503, nothing is recorded, and it is taken when there is room."""
    report = make.make_report(replica, signer, ROWS)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(Busy):
            make.receive(replica.server, report.gzip)

    assert not Run.objects.exists()
    assert make.receive(replica.server, report.gzip).new


def test_names_are_ours(replica: Replica, signer: Signer) -> None:
    """A name is made of ids and chance, whatever the report calls anything, and fits its column."""
    run = make.accept(replica, signer, [make.file_row("x/../../etc".replace("..", "…"))])
    directory, name = run.upload.split("/")

    assert directory == str(replica.uuid)
    assert name.startswith(f"{run.uuid}-")
    assert len(run.upload) <= 100
