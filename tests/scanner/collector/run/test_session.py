"""`run` with a central server: the road, the guards, the queue, each fault of the network."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from scanner.collector.delivery import sender
from scanner.collector.delivery.spool import RECEIPT_SUFFIX, REPORT_SUFFIX
from scanner.collector.errors import CollectorError, ConfigError, IdentityError
from scanner.format import paths
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation


@pytest.fixture
def replica(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> Replica:
    """The tree as a replica of an enrolled server; pauses between tries are short."""
    monkeypatch.setattr(sender, "_FIRST_PAUSE", 0.05)
    return installation.enrol(central)


def test_road(installation: Installation, replica: Replica) -> None:
    """A run is hashed, signed, delivered; the central server finds every line as the format demands."""
    summary = installation.run()
    assert summary.exit_code == 0 and summary.problems == []
    (taken,) = replica.chain
    statement = taken.statement
    assert (statement.sequence, statement.previous, statement.outcome, statement.break_) == (1, None, "complete", None)
    assert (statement.files, statement.errors) == (14, 0)
    names = [json.loads(line)["path"] for line in taken.lines]
    assert names == sorted(names, key=str.encode) and len(names) == 16
    linked = next(json.loads(line) for line in taken.lines if b'"sub/deep/linked"' in line)
    assert linked["hardlink"] == "sub/01.dat" and linked["size"] == 1000
    spool = installation.spool(replica)
    assert spool.queued_reports() == []
    (sent,) = spool.delivered_reports()
    receipt = sent.path.with_name(sent.path.name.replace(REPORT_SUFFIX, RECEIPT_SUFFIX))
    assert b'"payload"' in receipt.read_bytes()


def test_second_run_follows(installation: Installation, replica: Replica) -> None:
    """The next run of an unchanged tree has the next number, names the one before, and says the same of the content."""
    installation.run()
    installation.run()
    first, second = replica.chain
    assert (second.statement.sequence, second.statement.previous) == (2, first.digest)
    assert second.statement.content == first.statement.content
    assert second.statement.config == first.statement.config


def test_excludes_and_their_digest(installation: Installation, replica: Replica) -> None:
    """The group's excludes narrow what is read, and the statement's config tells that they did."""
    installation.run()
    replica.excludes = "*.dat\n"
    installation.run()
    before, after = (taken.statement for taken in replica.chain)
    assert after.files == 2 and before.config != after.config


def test_bad_excludes_fail_the_run(installation: Installation, replica: Replica) -> None:
    """Excludes that cannot be read make a failed run that says so: nothing is guessed."""
    replica.excludes = "[a\n"
    assert installation.run().exit_code == 2
    assert "exclude pattern" in (replica.chain[0].statement.reason or "")


def test_unreadable_file_is_data(installation: Installation, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that cannot be listed is an error entry; the run is complete, and the exit code 1."""
    if os.geteuid() == 0:
        os.symlink("/proc/self/mem", installation.tree / "ignored")
        (installation.tree / "gone").mkdir()
        real = os.open

        def refuse(path: object, *arguments: object, **more: object) -> int:
            if path == b"gone":
                raise PermissionError(13, "Permission denied")
            return real(path, *arguments, **more)  # type: ignore[arg-type]  # passed on as it came

        monkeypatch.setattr(os, "open", refuse)
    else:
        (installation.tree / "gone").mkdir(mode=0)
    summary = installation.run()
    assert summary.exit_code == 1
    assert b'{"path":"gone","error":"EACCES","stage":"list"}\n' in replica.chain[0].lines


def test_missing_root(installation: Installation, replica: Replica) -> None:
    """A root that is gone makes a failed run without records; nothing is taken for removed."""
    installation.run()
    shutil.rmtree(installation.tree)
    assert installation.run().exit_code == 2
    failed = replica.chain[1].statement
    assert (failed.outcome, failed.reason, failed.records.line_count) == ("failed", "root missing", 0)


def test_empty_root_and_its_release(installation: Installation, replica: Replica) -> None:
    """A root that is empty when it was not fails, again and again, until somebody releases it; that is recorded."""
    installation.run()
    shutil.rmtree(installation.tree)
    installation.tree.mkdir()
    assert [installation.run().exit_code for _ in range(2)] == [2, 2]
    assert replica.chain[2].statement.reason == "root empty, last time it was not"
    assert installation.run(accept_root=True).exit_code == 0
    assert replica.chain[3].statement.host["filesystem"]["accepted"] == "local"
    assert installation.run().exit_code == 0


def test_release_by_the_operator(installation: Installation, replica: Replica) -> None:
    """A release in the admin comes with the replica's configuration and stands in the statement as the operator's."""
    installation.run()
    shutil.rmtree(installation.tree)
    installation.tree.mkdir()
    replica.accept_root = True
    assert installation.run().exit_code == 0
    assert replica.chain[1].statement.host["filesystem"]["accepted"] == "operator"


def test_allowed_roots(installation: Installation, central: FakeCentral, replica: Replica, tmp_path: Path) -> None:
    """What the configuration does not allow is not read, links resolved, and the refusal is reported as a failed
    run."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "sneaky").symlink_to(installation.tree)
    replica.root = paths.encode(bytes(tmp_path / "allowed" / "sneaky"))
    installation.configure(server=central.url, roots=tmp_path / "allowed")
    assert installation.run().exit_code == 2
    assert "not among the roots" in (replica.chain[0].statement.reason or "")
    installation.configure(server=central.url, roots=f"{tmp_path}/allowed\n  {installation.tree}")
    assert installation.run().exit_code == 0


def test_unreachable_queues_and_the_next_run_delivers_in_order(
    installation: Installation, replica: Replica, central: FakeCentral
) -> None:
    """Without an answer the last signed configuration is used, reports queue, and the next run brings them in order."""
    installation.run()
    installation.configure(server="http://127.0.0.1:9", patience=0)
    for _ in range(2):
        summary = installation.run()
        assert summary.exit_code == 2 and summary.replicas[0].finished_run is not None
    assert [report.sequence for report in installation.spool(replica).queued_reports()] == [2, 3]
    installation.configure(server=central.url)
    assert installation.run().exit_code == 0
    assert [taken.statement.sequence for taken in replica.chain] == [1, 2, 3, 4]
    assert installation.spool(replica).queued_reports() == []


def test_first_run_without_an_answer(installation: Installation, replica: Replica) -> None:
    """Who never heard of his replicas has nothing to run, and says so."""
    installation.configure(server="http://127.0.0.1:9", patience=0)
    with pytest.raises(CollectorError, match="cannot reach"):
        installation.run()


@pytest.mark.parametrize("fault", ["cut", "lost", "429", "500", "502", "503"])
def test_passing_faults(installation: Installation, replica: Replica, central: FakeCentral, fault: str) -> None:
    """A connection that breaks, an answer that is lost, a server that is busy: tried again, and taken once."""
    central.faults = [fault]
    assert installation.run().exit_code == 0
    assert [taken.statement.sequence for taken in replica.chain] == [1]
    assert len([request for request in central.requests if "reports" in request]) == 2


def test_patience_ends(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A central server that stays busy does not hold a cron run for ever; the report stays queued, exit code 2."""
    installation.configure(server=central.url, patience=0)
    central.faults = ["503"] * 50
    summary = installation.run()
    assert summary.exit_code == 2 and summary.queued == 1
    central.faults = []
    assert installation.run().exit_code == 0
    assert len(replica.chain) == 2


def test_jammed_replica_holds_up_no_other(
    installation: Installation, replica: Replica, central: FakeCentral, tmp_path: Path
) -> None:
    """Each replica has its own queue: one that is not taken leaves the others alone."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    other = central.add_replica(tmp_path / "other", group_name="other")
    central.faults = ["403"]
    assert installation.run().exit_code == 2
    assert replica.chain == [] and len(other.chain) == 1


def test_refused_with_its_place(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A report whose body is refused for good has its place; the next one goes on behind it."""
    central.faults = ["recorded"]
    assert installation.run().exit_code == 2
    assert installation.run().exit_code == 0
    assert [taken.statement.sequence for taken in replica.chain] == [1, 2]
    assert len(list(installation.spool(replica).refused.iterdir())) == 1


def test_refused_without_a_place(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A report that the chain has no place for is put aside; the queue gets new numbers, the break is said."""
    installation.run()
    central.faults = ["unrecorded"]
    assert installation.run().exit_code == 2
    assert installation.run().exit_code == 0
    assert [taken.statement.sequence for taken in replica.chain] == [1, 2]
    assert replica.chain[1].statement.break_ is None


def test_names(installation: Installation, replica: Replica, central: FakeCentral, tmp_path: Path) -> None:
    """A run may be of named replicas alone; an unknown name, and a release that is not for one replica, are refused."""
    (tmp_path / "other").mkdir()
    other = central.add_replica(tmp_path / "other", group_name="other")
    disabled = central.add_replica(tmp_path / "third", group_name="third", enabled=False)
    installation.run("other")
    assert replica.chain == [] and len(other.chain) == 1 and disabled.chain == []
    for names, options in ((("nobody",), {}), (("third",), {}), ((), {"accept_root": True})):
        with pytest.raises(ConfigError):
            installation.run(*names, **options)


def test_nothing_to_do_is_not_proven(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A server without any replica has proven nothing: exit code 2; replicas that are disabled are no fault."""
    replica.enabled = False
    assert installation.run().exit_code == 0
    central.replicas.clear()
    summary = installation.run()
    assert summary.exit_code == 2 and "no replica" in summary.problems[0]


def test_no_send(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """--no-send leaves the report in the queue and is done."""
    assert installation.run(send=False).exit_code == 0
    assert replica.chain == [] and len(installation.spool(replica).queued_reports()) == 1
    assert central.progress == []


def test_not_enrolled(installation: Installation) -> None:
    """A run without an enrolment says what to do."""
    with pytest.raises(IdentityError, match="enroll TOKEN"):
        installation.run()


def test_reply_of_a_stranger(
    installation: Installation, replica: Replica, central: FakeCentral, tmp_path: Path
) -> None:
    """Replies that another key signed are not believed: no root of theirs is read, the report of ours stays queued."""
    installation.run()
    (tmp_path / "stranger").mkdir()
    with FakeCentral(tmp_path / "stranger") as stranger:
        stranger.server = central.server
        evil = stranger.add_replica(Path("/etc"))
        installation.configure(server=stranger.url, patience=0)
        summary = installation.run()
    assert summary.exit_code == 2 and "not signed by the central server" in summary.problems[0]
    assert evil.chain == [] and not (installation.state / "replicas" / evil.replica).exists()
    assert len(installation.spool(replica).queued_reports()) == 1


def test_old_bearer_token_is_exchanged(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A bearer token older than a month becomes a new one on the way."""
    os.utime(installation.state / "identity.json", (1, 1))
    assert installation.run().exit_code == 0
    assert "second" in (installation.state / "identity.json").read_text()
    assert installation.run().exit_code == 0


def test_kept_for_some_days(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """Delivered reports leave after keep-days, except the newest, from which the chain goes on."""
    installation.configure(server=central.url, keep_days=0)
    for _ in range(3):
        installation.run()
    assert [report.sequence for report in installation.spool(replica).delivered_reports()] == [3]
    assert len(list(installation.spool(replica).sent.iterdir())) == 2
