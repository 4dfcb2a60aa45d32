"""Where reports stand in the chain when spool and central server do not know the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scanner.collector import config
from scanner.collector.delivery import chain, identity, sender
from scanner.collector.delivery.chain import CentralChainEnd, ChainPosition
from scanner.collector.delivery.client import Client
from scanner.collector.delivery.spool import Spool
from scanner.collector.errors import ChainError
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation


@pytest.fixture
def replica(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> Replica:
    """The tree as a replica of an enrolled server; pauses between tries are short."""
    monkeypatch.setattr(sender, "_FIRST_PAUSE", 0.05)
    return installation.enrol(central)


def sequences(replica: Replica) -> list[int]:
    """The numbers of what the central server has."""
    return [taken.statement.sequence for taken in replica.chain]


def whole(replica: Replica) -> bool:
    """Whether the central server's chain hangs together."""
    digests = [None, *(taken.digest for taken in replica.chain)]
    return [taken.statement.previous for taken in replica.chain] == digests[:-1]


def test_empty_spool_takes_the_next_place(tmp_path: Path) -> None:
    """With nothing here and nothing there a chain begins; with nothing here it goes on behind what is there, torn."""
    spool = Spool(tmp_path)
    assert chain.next_position(spool, CentralChainEnd(None, None), ever_queued=False) == ChainPosition(1, None)
    assert chain.next_position(spool, None, ever_queued=False) == ChainPosition(1, None)
    link = chain.next_position(spool, CentralChainEnd(7, "ab"), ever_queued=False)
    assert (link.sequence, link.previous) == (8, "ab") and "unknown to the spool" in (link.break_reason or "")


def test_unknown_place_is_not_guessed(tmp_path: Path) -> None:
    """A spool that was lost while the central server cannot be asked gives no number: two reports would share it."""
    with pytest.raises(ChainError, match="must tell where"):
        chain.next_position(Spool(tmp_path), None, ever_queued=True)


def test_central_server_lost_its_newest(installation: Installation, replica: Replica) -> None:
    """A central server restored from a backup gets what it lost from here, then the new one; nothing is torn."""
    for _ in range(3):
        installation.run()
    del replica.chain[1:]
    assert installation.run().exit_code == 0
    assert sequences(replica) == [1, 2, 3, 4] and whole(replica)
    assert all(taken.statement.break_ is None for taken in replica.chain)


def test_central_server_lost_what_is_here_no_longer(installation: Installation, replica: Replica) -> None:
    """What was lost there and removed here cannot come back: the queue gets the expected numbers, and the break is
    said."""
    for _ in range(3):
        installation.run()
    del replica.chain[1:]
    for report in installation.spool(replica).delivered_reports()[:2]:
        report.path.unlink()
    before = installation.run(send=False).replicas[0].finished_run
    assert installation.run().exit_code == 0
    assert before is not None and sequences(replica) == [1, 2, 3] and whole(replica)
    reissued = replica.chain[1].statement
    assert reissued.break_ and "place 2 of the chain" in reissued.break_
    assert reissued.run != before.statement.run
    assert reissued.records == before.statement.records
    assert replica.chain[2].statement.break_ is None


def test_spool_lost(installation: Installation, replica: Replica) -> None:
    """A collector that lost its spool goes on behind the central server's newest and says that the chain is torn."""
    installation.run()
    installation.run()
    shutil.rmtree(installation.state / "replicas")
    assert installation.run().exit_code == 0
    assert sequences(replica) == [1, 2, 3] and whole(replica)
    assert "unknown to the spool" in (replica.chain[2].statement.break_ or "")


def test_spool_lost_while_nobody_answers(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A spool that was lost and a central server that cannot be asked: nothing is read and nothing is numbered."""
    installation.run()
    shutil.rmtree(installation.state / "replicas")
    installation.configure(server="http://127.0.0.1:9", patience=0)
    summary = installation.run()
    assert summary.exit_code == 2 and summary.replicas[0].finished_run is None
    installation.configure(server=central.url)
    assert installation.run().exit_code == 0
    assert sequences(replica) == [1, 2]


def test_first_run_of_a_replica_that_is_known_by_the_last_answer(installation: Installation, replica: Replica) -> None:
    """A replica that was never run begins its chain also when the central server cannot be asked just then."""
    installation.run("photos", send=False)
    installation.configure(server="http://127.0.0.1:9", patience=0)
    assert installation.run().replicas[0].finished_run is not None
    assert [report.sequence for report in installation.spool(replica).queued_reports()] == [1, 2]


def test_receipt_lost_and_report_gone_on(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A report that was taken without its receipt is not sent as another one: it is known there, and moves to sent."""
    installation.configure(server=central.url, patience=0)
    central.faults = ["lost"]
    assert installation.run().exit_code == 2
    assert sequences(replica) == [1] and len(installation.spool(replica).queued_reports()) == 1
    assert installation.run().exit_code == 0
    assert sequences(replica) == [1, 2] and whole(replica)


def test_equivocation_is_not_sent(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """Where the central server holds another statement in a place that the spool has, nothing more is sent."""
    installation.run()
    other = installation.folder / "clone"
    shutil.copytree(installation.state, other)
    installation.run()
    installation.configure(server="http://127.0.0.1:9", state=other, patience=0)
    installation.run(send=False)
    installation.configure(server=central.url, state=other)
    summary = installation.run()
    assert summary.exit_code == 2
    assert any("equivocation" in problem for problem in summary.problems)
    assert sequences(replica) == [1, 2] and not central.on_hold


def test_clone_is_found_by_the_central_server(
    installation: Installation, replica: Replica, central: FakeCentral
) -> None:
    """Another statement in a place that is taken holds the server; the collector stops with the error."""
    installation.run()
    clone = installation.folder / "clone"
    shutil.copytree(installation.state, clone)
    installation.configure(server="http://127.0.0.1:9", state=clone, patience=0)
    installation.run(send=False)
    (queued,) = (clone / "replicas" / replica.replica / "queue").iterdir()
    installation.configure(server=central.url)
    installation.run()
    installation.run()
    spool = Spool(clone / "replicas" / replica.replica)
    queue_sender = sender.QueueSender(replica.replica, spool)
    installation.configure(server=central.url, state=clone)
    deliver(installation, queue_sender)
    assert isinstance(queue_sender.problem, ChainError) and central.on_hold and queued.exists()
    assert sequences(replica) == [1, 2, 3]


def deliver(installation: Installation, queue_sender: sender.QueueSender) -> None:
    """Make one attempt of a sender, without asking how far the central server is."""

    loaded = config.load_config(installation.conf)
    own = identity.load_enrolled_identity(loaded.state)
    key = identity.load_key(loaded.state, own.key)
    queue_sender.attempt(Client(own.url or "", loaded, own.token), own, key)


def test_reissue_interrupted_between_its_renames(installation: Installation, replica: Replica) -> None:
    """A queue that was being replaced is whole again at the next start, whichever rename was the last."""
    installation.run(send=False)
    spool = installation.spool(replica)
    key_of_queue = [report.path.name for report in spool.queued_reports()]
    spool.queue.rename(spool.folder / "queue.replaced")
    shutil.copytree(spool.folder / "queue.replaced", spool.folder / "queue.reissued")
    spool.prepare()
    assert [report.path.name for report in spool.queued_reports()] == key_of_queue
    shutil.copytree(spool.queue, spool.folder / "queue.reissued")
    spool.prepare()
    assert sorted(path.name for path in spool.folder.iterdir() if path.is_dir()) == ["queue", "refused", "sent"]


def test_damaged_report_is_set_aside(installation: Installation, replica: Replica) -> None:
    """A queued report whose bytes rotted cannot be signed again: it is put aside, and the next says that it is
    missing."""
    installation.run()
    installation.run(send=False)
    installation.run(send=False)
    first = installation.spool(replica).queued_reports()[0]
    first.path.write_bytes(b"rotten")
    assert installation.run().exit_code == 0
    assert sequences(replica) == [1, 2, 3] and whole(replica)
    assert "cannot be given" in (replica.chain[1].statement.break_ or "")
    assert list(installation.spool(replica).refused.glob("*.damaged"))


def test_newest_report_is_damaged_and_nobody_answers(
    installation: Installation, replica: Replica, central: FakeCentral
) -> None:
    """A delivered report that rotted is not numbered anew by guess; the central server's answer settles it."""
    installation.run()
    installation.run()
    installation.spool(replica).delivered_reports()[1].path.write_bytes(b"rotten")
    installation.configure(server="http://127.0.0.1:9", patience=0)
    for _ in range(2):
        summary = installation.run()
        assert summary.exit_code == 2 and summary.replicas[0].finished_run is None
    installation.configure(server=central.url)
    assert installation.run().exit_code == 0
    assert sequences(replica) == [1, 2, 3] and whole(replica) and not central.on_hold
