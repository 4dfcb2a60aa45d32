"""Test `run` with a central server: the whole way of a report, the queue, each fault of the network."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from scanner.collector.delivery.spool import RECEIPT_SUFFIX, REPORT_SUFFIX
from scanner.collector.errors import CollectorError, ConfigError, IdentityError
from scanner.collector.run.walk import walk
from scanner.collector.run.walk_process import WalkProcess
from scanner.format import paths
from scanner.format.excludes import Excludes
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation

NOBODY_LISTENS = "http://127.0.0.1:9"


def empty_tree(installation: Installation) -> None:
    """Replace the tree by an empty directory."""
    shutil.rmtree(installation.tree)
    installation.tree.mkdir()


def test_run_is_delivered(installation: Installation, replica: Replica) -> None:
    """A run is hashed, signed and delivered, and every line of its report is as the format demands."""
    summary = installation.run()
    assert summary.exit_code == 0
    assert summary.problems == []

    (report,) = replica.chain
    statement = report.statement
    assert statement.sequence == 1
    assert statement.previous is None
    assert statement.outcome == "complete"
    assert statement.break_ is None
    assert statement.files == 14
    assert statement.errors == 0

    records = [json.loads(line) for line in report.lines]
    record_paths = [record["path"] for record in records]
    assert record_paths == sorted(record_paths, key=str.encode)
    assert len(record_paths) == 16
    hard_link = next(record for record in records if record["path"] == "sub/deep/linked")
    assert hard_link["hardlink"] == "sub/01.dat"
    assert hard_link["size"] == 1000

    spool = installation.spool(replica)
    assert spool.queued_reports() == []
    (sent_report,) = spool.delivered_reports()
    receipt = sent_report.path.with_name(sent_report.path.name.replace(REPORT_SUFFIX, RECEIPT_SUFFIX))
    assert b'"payload"' in receipt.read_bytes()


def test_second_run_follows(installation: Installation, replica: Replica) -> None:
    """The next run has the next number, names the run before it, and finds the same content in an unchanged tree."""
    installation.run()
    installation.run()
    first, second = replica.chain
    assert second.statement.sequence == 2
    assert second.statement.previous == first.digest
    assert second.statement.content == first.statement.content
    assert second.statement.config == first.statement.config


def test_excludes_and_their_digest(installation: Installation, replica: Replica) -> None:
    """The excludes of the group narrow what is read, and `config` in the statement shows that they changed."""
    installation.run()
    replica.excludes = "*.dat\n"
    installation.run()
    before, after = (report.statement for report in replica.chain)
    assert after.files == 2
    assert before.config != after.config


def test_bad_excludes_fail_the_run(installation: Installation, replica: Replica) -> None:
    """Excludes that cannot be read make a failed run that says so: nothing is guessed."""
    replica.excludes = "[a\n"
    assert installation.run().exit_code == 2
    assert "exclude pattern" in (replica.chain[0].statement.reason or "")


def test_unreadable_directory_is_data(
    installation: Installation, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that cannot be listed is an error entry. The run is complete, and its exit code is 1."""
    if os.geteuid() == 0:
        os.symlink("/proc/self/mem", installation.tree / "ignored")
        (installation.tree / "gone").mkdir()
        real_open = os.open

        def refuse(path: object, *arguments: object, **options: object) -> int:
            if path == b"gone":
                raise PermissionError(13, "Permission denied")
            return real_open(path, *arguments, **options)  # type: ignore[arg-type]  # passed on as it came

        # Root can list everything. The refusal holds in this process, so the walk must be done here.
        monkeypatch.setattr(os, "open", refuse)
        monkeypatch.setattr(WalkProcess, "entries", lambda process: walk(process._root, Excludes(())))
    else:
        (installation.tree / "gone").mkdir(mode=0)

    summary = installation.run()

    assert summary.exit_code == 1
    assert b'{"path":"gone","error":"EACCES","stage":"list"}\n' in replica.chain[0].lines


def test_missing_root(installation: Installation, replica: Replica) -> None:
    """A root that is gone makes a failed run without records: nothing counts as removed."""
    installation.run()
    shutil.rmtree(installation.tree)
    assert installation.run().exit_code == 2

    failed = replica.chain[1].statement
    assert failed.outcome == "failed"
    assert failed.reason == "root missing"
    assert failed.records.line_count == 0


def test_empty_root_and_its_release(installation: Installation, replica: Replica) -> None:
    """A root that became empty fails in every run until somebody releases it, and the statement says who."""
    installation.run()
    empty_tree(installation)
    assert installation.run().exit_code == 2
    assert installation.run().exit_code == 2
    assert replica.chain[2].statement.reason == "root empty, last time it was not"

    assert installation.run(accept_root=True).exit_code == 0
    assert replica.chain[3].statement.host["filesystem"]["accepted"] == "local"
    assert installation.run().exit_code == 0


def test_release_by_the_operator(installation: Installation, replica: Replica) -> None:
    """A release on the central server counts as well, and the statement says that the operator gave it."""
    installation.run()
    empty_tree(installation)
    replica.accept_root = True
    assert installation.run().exit_code == 0
    assert replica.chain[1].statement.host["filesystem"]["accepted"] == "operator"


def test_allowed_roots(installation: Installation, central: FakeCentral, replica: Replica, tmp_path: Path) -> None:
    """A root outside of `roots` makes a failed run, even behind a link that lies inside."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "sneaky").symlink_to(installation.tree)
    replica.root = paths.encode(bytes(tmp_path / "allowed" / "sneaky"))
    installation.configure(server=central.url, roots=tmp_path / "allowed")
    assert installation.run().exit_code == 2
    assert "not among the roots" in (replica.chain[0].statement.reason or "")

    installation.configure(server=central.url, roots=f"{tmp_path}/allowed\n  {installation.tree}")
    assert installation.run().exit_code == 0


def test_unreachable_server(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """Without an answer the last list is used, reports wait, and the next run delivers them in order."""
    installation.run()
    installation.configure(server=NOBODY_LISTENS, patience=0)
    for _ in range(2):
        summary = installation.run()
        assert summary.exit_code == 2
        assert summary.replicas[0].finished_run is not None
    assert [report.sequence for report in installation.spool(replica).queued_reports()] == [2, 3]

    installation.configure(server=central.url)
    assert installation.run().exit_code == 0
    assert replica.sequences() == [1, 2, 3, 4]
    assert installation.spool(replica).queued_reports() == []


def test_first_run_without_an_answer(installation: Installation, replica: Replica) -> None:
    """A collector that never got a list of replicas has nothing to run, and says why."""
    installation.configure(server=NOBODY_LISTENS, patience=0)
    with pytest.raises(CollectorError, match="cannot reach"):
        installation.run()


@pytest.mark.parametrize("fault", ["cut", "lost", "429", "500", "502", "503"])
def test_passing_faults(installation: Installation, replica: Replica, central: FakeCentral, fault: str) -> None:
    """After a broken connection, a lost answer or a busy server the upload is repeated, and accepted once."""
    central.faults = [fault]
    assert installation.run().exit_code == 0
    assert replica.sequences() == [1]
    assert len([request for request in central.requests if "reports" in request]) == 2


def test_patience_ends(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A central server that stays busy does not hold up a run for ever: the report waits, with exit code 2."""
    installation.configure(server=central.url, patience=0)
    central.faults = ["503"] * 50
    summary = installation.run()
    assert summary.exit_code == 2
    assert summary.queued == 1

    central.faults = []
    assert installation.run().exit_code == 0
    assert len(replica.chain) == 2


def test_stuck_replica_holds_up_no_other(
    installation: Installation, replica: Replica, central: FakeCentral, tmp_path: Path
) -> None:
    """Each replica has a queue of its own: one that is stuck does not hold up the others."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    other_replica = central.add_replica(tmp_path / "other", group_name="other")
    central.faults = ["403"]
    assert installation.run().exit_code == 2
    assert replica.chain == []
    assert len(other_replica.chain) == 1


def test_refused_with_its_place(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A report whose body is refused for good keeps its place, and the next one follows it."""
    central.faults = ["recorded"]
    assert installation.run().exit_code == 2
    assert installation.run().exit_code == 0
    assert replica.sequences() == [1, 2]
    assert len(list(installation.spool(replica).refused.iterdir())) == 1


def test_refused_without_a_place(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A report that gets no place in the chain is set aside, and the next one takes its number."""
    installation.run()
    central.faults = ["unrecorded"]
    assert installation.run().exit_code == 2
    assert installation.run().exit_code == 0
    assert replica.sequences() == [1, 2]
    assert replica.chain[1].statement.break_ is None


def test_names(installation: Installation, replica: Replica, central: FakeCentral, tmp_path: Path) -> None:
    """Named replicas alone are run. An unknown name, a disabled replica and a release for all are refused."""
    (tmp_path / "other").mkdir()
    other_replica = central.add_replica(tmp_path / "other", group_name="other")
    disabled_replica = central.add_replica(tmp_path / "third", group_name="third", enabled=False)

    installation.run("other")
    assert replica.chain == []
    assert len(other_replica.chain) == 1
    assert disabled_replica.chain == []

    with pytest.raises(ConfigError):
        installation.run("nobody")
    with pytest.raises(ConfigError):
        installation.run("third")
    with pytest.raises(ConfigError):
        installation.run(accept_root=True)


def test_nothing_to_do_is_not_proven(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """Disabled replicas are no problem. A server without any replica has proven nothing: exit code 2."""
    replica.enabled = False
    assert installation.run().exit_code == 0

    central.replicas.clear()
    summary = installation.run()
    assert summary.exit_code == 2
    assert "no replica" in summary.problems[0]


def test_no_send(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """`--no-send` leaves the report in the queue, and that counts as done."""
    assert installation.run(send=False).exit_code == 0
    assert replica.chain == []
    assert len(installation.spool(replica).queued_reports()) == 1
    assert central.progress == []


def test_not_enrolled(installation: Installation) -> None:
    """A run without an enrolment says what to do."""
    with pytest.raises(IdentityError, match="enroll TOKEN"):
        installation.run()


def test_reply_of_a_stranger(
    installation: Installation, replica: Replica, central: FakeCentral, tmp_path: Path
) -> None:
    """A server with another key is not believed: its roots are not read, and it gets no report."""
    installation.run()
    (tmp_path / "stranger").mkdir()
    with FakeCentral(tmp_path / "stranger") as stranger:
        stranger.server = central.server
        foreign_replica = stranger.add_replica(Path("/etc"))
        installation.configure(server=stranger.url, patience=0)
        summary = installation.run()

    assert summary.exit_code == 2
    assert "not signed by the central server" in summary.problems[0]
    assert foreign_replica.chain == []
    assert not (installation.state / "replicas" / foreign_replica.replica).exists()
    assert len(installation.spool(replica).queued_reports()) == 1


def test_old_bearer_token_is_exchanged(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A run exchanges a bearer token that is older than a month."""
    os.utime(installation.state / "identity.json", (1, 1))
    assert installation.run().exit_code == 0
    assert "second" in (installation.state / "identity.json").read_text()
    assert installation.run().exit_code == 0


def test_delivered_reports_are_removed_later(
    installation: Installation, replica: Replica, central: FakeCentral
) -> None:
    """Delivered reports are removed after `keep-days`, except the newest one, from which the chain goes on."""
    installation.configure(server=central.url, keep_days=0)
    for _ in range(3):
        installation.run()
    spool = installation.spool(replica)
    assert [report.sequence for report in spool.delivered_reports()] == [3]
    assert len(list(spool.sent.iterdir())) == 2  # the report and its receipt
