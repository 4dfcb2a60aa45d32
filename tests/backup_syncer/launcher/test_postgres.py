"""The embedded PostgreSQL through its accidents."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from backup_syncer.errors import DatabaseNotStarted, NoServiceUser
from backup_syncer.launcher.postgres import Embedded
from backup_syncer.launcher.service_user import run_as


def pid_of(server: Embedded) -> int:
    """The postmaster's number as its pid file says."""
    return int((server.data / "postmaster.pid").read_text().split()[0])


def rows(server: Embedded, query: str) -> list[tuple[object, ...]]:
    """Ask as superuser."""
    with server.connect() as connection:
        return list(connection.execute(query))


def starter(server: Embedded) -> list[str]:
    """A process that starts the server, says the postmaster's number and lives until it is told something."""
    code = (
        "import pwd, sys\nfrom pathlib import Path\nfrom backup_syncer.launcher.postgres import Embedded\n"
        "server = Embedded(Path(sys.argv[1]), pwd.getpwnam(sys.argv[2]))\nserver.start()\n"
        "print((server.data / 'postmaster.pid').read_text().split()[0], flush=True)\nsys.stdin.readline()\n"
        "server.process is None or server.process.wait()"
    )
    return [sys.executable, "-c", code, str(server.state), server.owner.pw_name]


def test_start_stop_and_start_again(cluster: Embedded) -> None:
    """Rows written before a stop are there after the next start; the role is no superuser and the encoding UTF-8."""
    cluster.start()
    with cluster.connect() as connection:
        connection.execute("CREATE TABLE kept (x int)")
    assert rows(cluster, "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = 'backup_syncer'") == [
        (False, False)
    ]
    assert rows(cluster, "SHOW server_encoding") == [("UTF8",)]
    assert rows(cluster, "SHOW data_checksums") == [("on",)]
    assert rows(cluster, "SELECT upper('й')") == [("Й",)]
    cluster.stop()
    assert not cluster.running()
    cluster.start()
    assert rows(cluster, "SELECT count(*) FROM kept") == [(0,)]


def test_only_owner_and_root_can_connect(cluster: Embedded) -> None:
    """Directories are closed, and the server asks the kernel who is there."""
    cluster.start()
    for directory in (cluster.data, cluster.sockets):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert directory.stat().st_uid == cluster.owner.pw_uid
    assert (cluster.data / "pg_hba.conf").read_text() == "local all all peer map=backup_syncer\n"
    assert rows(cluster, "SHOW listen_addresses") == [("",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_cannot_connect(cluster: Embedded) -> None:
    """Not even one who is let through to the socket."""
    cluster.start()
    cluster.state.chmod(0o755)
    cluster.sockets.chmod(0o755)
    (cluster.sockets / ".s.PGSQL.5432").chmod(0o777)
    stranger = next(user for user in pwd.getpwall() if user.pw_uid not in (0, cluster.owner.pw_uid))
    where = ["-h", str(cluster.sockets), "-U", "backup_syncer", "-d", "backup_syncer"]
    command = [str(cluster.programs / "psql"), *where, "-c", "SELECT 1"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **run_as(stranger))
    assert "Peer authentication failed" in completed.stderr


@pytest.mark.long
def test_starters_at_once_share_one_server(cluster: Embedded) -> None:
    """Several starters: one starts, the others adopt; whoever did not start it can stop it."""
    starters = [subprocess.Popen(starter(cluster), stdout=subprocess.PIPE, stdin=subprocess.PIPE) for _ in range(4)]
    try:
        numbers = {starter_process.stdout.readline() for starter_process in starters if starter_process.stdout}
        assert numbers == {f"{pid_of(cluster)}\n".encode()}
        cluster.start()
        assert cluster.process is None
        cluster.stop()
        assert not cluster.running()
    finally:
        for starter_process in starters:
            starter_process.communicate(b"\n")


def test_killed_postmaster_loses_nothing(cluster: Embedded) -> None:
    """kill -9 of the postmaster: the next start recovers what was committed."""
    cluster.start()
    with cluster.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS x")
    os.kill(pid_of(cluster), signal.SIGKILL)
    assert cluster.process is not None
    cluster.process.wait()
    again = Embedded(cluster.state, cluster.owner, options=cluster.options)
    again.start()
    kept_rows = rows(again, "SELECT count(*) FROM kept")
    again.stop()
    assert kept_rows == [(10000,)]


@pytest.mark.long
def test_stale_pid_file_of_a_stranger(cluster: Embedded) -> None:
    """After a reboot the old number may be anybody's; PostgreSQL itself would refuse to start for ever."""
    cluster.start()
    lines = (cluster.data / "postmaster.pid").read_text().splitlines()
    cluster.stop()
    stranger = subprocess.Popen(["sleep", "60"], **run_as(cluster.owner))
    try:
        contents = "\n".join([str(stranger.pid), *lines[1:]]) + "\n"
        for path in (cluster.data / "postmaster.pid", cluster.sockets / ".s.PGSQL.5432.lock"):
            path.write_text(contents)
            os.chown(path, cluster.owner.pw_uid, cluster.owner.pw_gid)
        cluster.start()
        assert pid_of(cluster) != stranger.pid
        cluster.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.long
def test_half_made_cluster_is_made_again(cluster: Embedded) -> None:
    """A set-up that was killed in the middle leaves nothing that looks like a cluster."""
    cluster.state.mkdir()
    (cluster.state / "pgdata.new").mkdir()
    (cluster.state / "pgdata.new" / "PG_VERSION").write_text("torn")
    cluster.start()
    assert cluster.running()


def test_links_in_the_service_directory_are_not_followed(cluster: Embedded, short: Path) -> None:
    """The service user owns the directory in which root writes: a link planted there leads root nowhere."""
    cluster.start()
    cluster.stop()
    target = short / "of root's"
    target.write_text("untouched")
    for name in ("pg_hba.conf", ".pg_hba.conf.new"):
        (cluster.data / name).unlink(missing_ok=True)
        (cluster.data / name).symlink_to(target)
    cluster.start()
    assert target.read_text() == "untouched"
    assert not (cluster.data / "pg_hba.conf").is_symlink()


@pytest.mark.long
def test_server_ends_with_its_starter(cluster: Embedded) -> None:
    """A starter that is killed takes the server along, cleanly (Linux)."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells a child of its parent's death")
    with subprocess.Popen(starter(cluster), stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == pid_of(cluster)
        process.kill()
    deadline = time.monotonic() + 20
    while cluster.running() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not cluster.running()
    assert not (cluster.data / "postmaster.pid").exists()


def test_too_long_a_path_is_one_clear_error(owner: pwd.struct_passwd, short: Path) -> None:
    """A Unix socket's address has room for 103 bytes."""
    with pytest.raises(DatabaseNotStarted, match="bytes too long"):
        Embedded(short / ("x" * 100), owner).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a directory that is closed to the service user")
def test_state_below_a_closed_directory_is_one_clear_error(owner: pwd.struct_passwd, short: Path) -> None:
    """A directory above the state is never opened; the operator is told."""
    closed = short / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(NoServiceUser, match="closed to"):
        Embedded(closed / "state", owner).start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.long
def test_cluster_of_another_version_is_one_clear_error(cluster: Embedded) -> None:
    """Programs of one major version do not touch the files of another."""
    cluster.start()
    cluster.stop()
    (cluster.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(DatabaseNotStarted, match="made by PostgreSQL 12"):
        cluster.start()


def test_refused_configuration_is_said(cluster: Embedded) -> None:
    """The server's complaint reaches the operator."""
    cluster.options["shared_buffers"] = "nonsense"
    with pytest.raises(DatabaseNotStarted, match="PostgreSQL: "):
        cluster.start()


def test_connecting_before_the_start_fails(cluster: Embedded) -> None:
    """Nothing answers where nothing was started."""
    with pytest.raises(psycopg.OperationalError):
        cluster.connect()
