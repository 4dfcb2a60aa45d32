"""Find the place of the next report when spool and central server do not know the same chain."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scanner.collector.delivery import chain, identity
from scanner.collector.delivery.chain import CentralChainEnd, ChainPosition
from scanner.collector.delivery.client import Client
from scanner.collector.delivery.sender import QueueSender
from scanner.collector.delivery.spool import Spool
from scanner.collector.errors import ChainError
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation

NOBODY_LISTENS = "http://127.0.0.1:9"


def send_queue(installation: Installation, queue_sender: QueueSender) -> None:
    """Make one attempt to send a queue, without asking first how far the central server is."""
    config = installation.load_config()
    own_identity = identity.load_enrolled_identity(config.state)
    key = identity.load_key(config.state, own_identity.key)
    client = Client(own_identity.url or "", config, own_identity.token)
    queue_sender.attempt(client, own_identity, key)


def test_empty_spool(tmp_path: Path) -> None:
    """An empty spool begins a chain, or goes on behind the central server's end with a break."""
    spool = Spool(tmp_path)
    assert chain.next_position(spool, CentralChainEnd(None, None), ever_queued=False) == ChainPosition(1, None)
    assert chain.next_position(spool, None, ever_queued=False) == ChainPosition(1, None)

    position = chain.next_position(spool, CentralChainEnd(7, "ab"), ever_queued=False)
    assert position.sequence == 8
    assert position.previous == "ab"
    assert "is missing from the spool" in (position.break_reason or "")


def test_unknown_place_is_not_guessed(tmp_path: Path) -> None:
    """A lost spool gives no number while the central server cannot be asked: two reports would share it."""
    with pytest.raises(ChainError, match="must tell where"):
        chain.next_position(Spool(tmp_path), None, ever_queued=True)


def test_central_server_lost_its_newest_reports(installation: Installation, replica: Replica) -> None:
    """A central server that was restored from a backup gets the lost reports again, and the chain has no break."""
    for _ in range(3):
        installation.run()
    del replica.chain[1:]

    assert installation.run().exit_code == 0

    assert replica.sequences() == [1, 2, 3, 4]
    assert replica.is_chain_intact()
    assert all(report.statement.break_ is None for report in replica.chain)


def test_lost_reports_are_no_longer_here(installation: Installation, replica: Replica) -> None:
    """When lost reports cannot be sent again, the queue gets the expected numbers, and its first report the break."""
    for _ in range(3):
        installation.run()
    del replica.chain[1:]
    for report in installation.spool(replica).delivered_reports()[:2]:
        report.path.unlink()

    queued_run = installation.run(send=False).replicas[0].finished_run
    assert queued_run is not None
    assert installation.run().exit_code == 0

    assert replica.sequences() == [1, 2, 3]
    assert replica.is_chain_intact()
    renumbered = replica.chain[1].statement
    assert renumbered.break_ and "place 2 of the chain" in renumbered.break_
    assert renumbered.run != queued_run.statement.run
    assert renumbered.records == queued_run.statement.records
    assert replica.chain[2].statement.break_ is None


def test_spool_lost(installation: Installation, replica: Replica) -> None:
    """A collector that lost its spool goes on behind the central server's end, with a break."""
    installation.run()
    installation.run()
    shutil.rmtree(installation.state / "replicas")

    assert installation.run().exit_code == 0

    assert replica.sequences() == [1, 2, 3]
    assert replica.is_chain_intact()
    assert "is missing from the spool" in (replica.chain[2].statement.break_ or "")


def test_spool_lost_while_nobody_answers(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """With a lost spool and no answer from the central server nothing is read and nothing is numbered."""
    installation.run()
    shutil.rmtree(installation.state / "replicas")

    installation.configure(server=NOBODY_LISTENS, patience=0)
    summary = installation.run()
    assert summary.exit_code == 2
    assert summary.replicas[0].finished_run is None

    installation.configure(server=central.url)
    assert installation.run().exit_code == 0
    assert replica.sequences() == [1, 2]


def test_first_run_by_the_last_answer(installation: Installation, replica: Replica) -> None:
    """A replica that was never delivered is run by the last answer when the central server cannot be asked."""
    installation.run("photos", send=False)
    installation.configure(server=NOBODY_LISTENS, patience=0)
    assert installation.run().replicas[0].finished_run is not None
    assert [report.sequence for report in installation.spool(replica).queued_reports()] == [1, 2]


def test_lost_receipt(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A report that was accepted and whose receipt was lost is not sent as another report."""
    installation.configure(server=central.url, patience=0)
    central.faults = ["lost"]
    assert installation.run().exit_code == 2
    assert replica.sequences() == [1]
    assert len(installation.spool(replica).queued_reports()) == 1

    assert installation.run().exit_code == 0
    assert replica.sequences() == [1, 2]
    assert replica.is_chain_intact()


def test_equivocation_is_not_sent(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """Nothing is sent when the central server has another statement in a place that the spool has."""
    installation.run()
    clone = installation.directory / "clone"
    shutil.copytree(installation.state, clone)
    installation.run()
    installation.configure(server=NOBODY_LISTENS, state=clone, patience=0)
    installation.run(send=False)

    installation.configure(server=central.url, state=clone)
    summary = installation.run()

    assert summary.exit_code == 2
    assert any("equivocation" in problem for problem in summary.problems)
    assert replica.sequences() == [1, 2]
    assert not central.on_hold


def test_clone_is_found_by_the_central_server(
    installation: Installation, replica: Replica, central: FakeCentral
) -> None:
    """Another statement in a place that is taken puts the server on hold, and the collector stops with an error."""
    installation.run()
    clone = installation.directory / "clone"
    shutil.copytree(installation.state, clone)
    installation.configure(server=NOBODY_LISTENS, state=clone, patience=0)
    installation.run(send=False)
    (queued_report,) = (clone / "replicas" / replica.replica / "queue").iterdir()
    installation.configure(server=central.url)
    installation.run()
    installation.run()

    queue_sender = QueueSender(replica.replica, Spool(clone / "replicas" / replica.replica))
    installation.configure(server=central.url, state=clone)
    send_queue(installation, queue_sender)

    assert isinstance(queue_sender.problem, ChainError)
    assert central.on_hold
    assert queued_report.exists()
    assert replica.sequences() == [1, 2, 3]


def test_renumbering_interrupted_between_its_renames(installation: Installation, replica: Replica) -> None:
    """A queue that was being replaced is complete at the next start, whichever rename was the last."""
    installation.run(send=False)
    spool = installation.spool(replica)
    names = [report.path.name for report in spool.queued_reports()]

    spool.queue.rename(spool.directory / "queue.replaced")
    shutil.copytree(spool.directory / "queue.replaced", spool.directory / "queue.reissued")
    spool.prepare()
    assert [report.path.name for report in spool.queued_reports()] == names

    shutil.copytree(spool.queue, spool.directory / "queue.reissued")
    spool.prepare()
    directories = sorted(path.name for path in spool.directory.iterdir() if path.is_dir())
    assert directories == ["queue", "refused", "sent"]


def test_damaged_report_is_set_aside(installation: Installation, replica: Replica) -> None:
    """A damaged report in the queue is set aside, and the next report says that it is missing."""
    installation.run()
    installation.run(send=False)
    installation.run(send=False)
    first_queued = installation.spool(replica).queued_reports()[0]
    first_queued.path.write_bytes(b"rotten")

    assert installation.run().exit_code == 0

    assert replica.sequences() == [1, 2, 3]
    assert replica.is_chain_intact()
    assert "can no longer be shown" in (replica.chain[1].statement.break_ or "")
    assert list(installation.spool(replica).refused.glob("*.damaged"))


def test_damaged_end_while_nobody_answers(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """The number of a damaged delivered report is not given again by guess: the central server's answer decides."""
    installation.run()
    installation.run()
    installation.spool(replica).delivered_reports()[1].path.write_bytes(b"rotten")

    installation.configure(server=NOBODY_LISTENS, patience=0)
    for _ in range(2):
        summary = installation.run()
        assert summary.exit_code == 2
        assert summary.replicas[0].finished_run is None

    installation.configure(server=central.url)
    assert installation.run().exit_code == 0
    assert replica.sequences() == [1, 2, 3]
    assert replica.is_chain_intact()
    assert not central.on_hold
