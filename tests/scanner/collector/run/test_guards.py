"""Test the guards of a root: another file system, one that changes during the run, releases for one run."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from scanner.collector.engines.choice import EngineChoice, choose_engine
from scanner.collector.run import guards, replica_run
from scanner.collector.run.guards import RunFailed
from scanner.collector.run.state import LastRun
from scanner.collector.system.filesystem import FileSystem
from scanner.format import paths
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation

DISK = FileSystem("ext4", "uuid:1", b"/mnt")


def pretend_another_disk(installation: Installation, replica: Replica) -> None:
    """Let the state say that the last run saw another disk."""
    file_system = json.dumps({"type": "xfs", "id": "uuid:old", "mount_point": "/old"})
    connection = sqlite3.connect(installation.state / "replicas" / replica.replica / "state.db")
    with connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'file_system'", (file_system,))
    connection.close()


def test_another_disk(installation: Installation, replica: Replica) -> None:
    """A root on another file system fails, with both named, until it is released. Then the new one counts."""
    installation.run()
    pretend_another_disk(installation, replica)
    assert installation.run().exit_code == 2
    assert installation.run().exit_code == 2
    reason = replica.chain[1].statement.reason or ""
    assert reason.startswith("root on another file system: ")
    assert "last time xfs uuid:old at /old" in reason

    assert installation.run(accept_root=True).exit_code == 0
    assert installation.run().exit_code == 0
    file_system = replica.chain[4].statement.host["filesystem"]
    assert file_system["accepted"] is None
    assert file_system["mount_point"]
    assert file_system["type"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second file system that is always there: /proc")
def test_file_system_changes_during_the_run(
    installation: Installation, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root whose file system changes during the run fails: half of what was read may be of another disk."""
    link = tmp_path / "current"
    link.symlink_to(installation.tree)
    replica.root = paths.encode(bytes(link))

    def swap_root_and_choose(engine: str) -> EngineChoice:
        link.unlink()
        link.symlink_to("/proc")
        return choose_engine(engine)

    monkeypatch.setattr(replica_run, "choose_engine", swap_root_and_choose)
    assert installation.run().exit_code == 2
    assert replica.chain[0].statement.reason == "root on another file system than when the run began"


def test_release_is_for_one_run(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A release by the central server is not used again while the central server cannot be asked."""
    installation.run()
    replica.accept_root = True
    installation.run()
    shutil.rmtree(installation.tree)
    installation.tree.mkdir()

    installation.configure(server="http://127.0.0.1:9", patience=0)
    finished_run = installation.run().replicas[0].finished_run

    assert finished_run is not None
    assert finished_run.statement.outcome == "failed"
    assert finished_run.statement.host["filesystem"]["accepted"] is None


@pytest.mark.parametrize(
    ("present", "last_run", "fails"),
    [
        (DISK, None, False),
        (DISK, LastRun(1, 1, None), False),
        (DISK, LastRun(1, 1, DISK), False),
        (None, LastRun(1, 1, DISK), False),
        (DISK._replace(type="xfs"), LastRun(1, 1, DISK), True),
        (DISK._replace(id="uuid:2"), LastRun(1, 1, DISK), True),
        (DISK._replace(mount_point=b"/"), LastRun(1, 1, DISK), True),
    ],
)
def test_another_file_system(present: FileSystem | None, last_run: LastRun | None, fails: bool) -> None:
    """Type, id and mount point distinguish file systems. Without one of the two nothing is compared."""
    guards.check_file_system(present, last_run, accepted=True)
    if fails:
        with pytest.raises(RunFailed):
            guards.check_file_system(present, last_run, accepted=False)
    else:
        guards.check_file_system(present, last_run, accepted=False)


@pytest.mark.parametrize("root", [b"relative", b"/srv/../etc", b"/srv/", b"/srv//x", b"/srv/."])
def test_roots_that_are_not_plain(root: bytes) -> None:
    """A root is an absolute path without detours."""
    with pytest.raises(RunFailed, match="plain absolute path"):
        guards.check_allowed(root, [b"/srv"])


def test_allowed(tmp_path: Path) -> None:
    """A root may be an allowed one or lie below it. A neighbour whose name begins alike may not."""
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv2").mkdir()
    allowed_roots = [bytes(tmp_path / "srv")]

    guards.check_allowed(bytes(tmp_path / "srv"), allowed_roots)
    guards.check_allowed(bytes(tmp_path / "srv" / "not" / "yet"), allowed_roots)
    guards.check_allowed(bytes(tmp_path / "srv2"), [])
    guards.check_allowed(b"/anything", [b"/"])
    with pytest.raises(RunFailed, match="not among"):
        guards.check_allowed(bytes(tmp_path / "srv2"), allowed_roots)
