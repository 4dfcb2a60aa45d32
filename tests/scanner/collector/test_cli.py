"""Test the program: commands, help, one clear line for each error, exit codes, JSON on stdout alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.collector import cli, config
from scanner.collector.version import VERSION
from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.installation import ROOT, Installation, clean_environment

COMMANDS = ("init", "enroll", "run", "status", "verify")


def test_version_is_that_of_the_package() -> None:
    """The statement names the version that is installed."""
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(installation: Installation, command: str) -> None:
    """The program and each command explain themselves on stdout, with the exit codes."""
    result = installation.call(*filter(None, [command]), "--help")
    assert result.exit_code == 0
    assert "exit codes" in result.stdout.replace("\n", " ")
    assert result.stderr == ""


def test_first_day(installation: Installation, central: FakeCentral) -> None:
    """A person calls init, enroll, run, status and verify, and each says what it did."""
    result = installation.call("init")
    assert result.exit_code == 0
    assert "key" in result.stderr
    assert result.stdout == ""

    result = installation.call("enroll", central.token(), "--server", central.url)
    assert result.exit_code == 0, result.stderr
    assert "enrolled as alpha" in result.stderr

    replica = central.add_replica(installation.tree)
    result = installation.call("run", "--json", "--workers", "1")
    assert result.exit_code == 0, result.stderr
    (replica_summary,) = result.summary["replicas"]
    assert replica_summary["sequence"] == 1
    assert replica_summary["outcome"] == "complete"
    assert replica_summary["files"] == 14
    assert replica_summary["delivered"] is True
    assert "photos" in result.stderr
    assert "delivered" in result.stderr

    result = installation.call("status", "--json")
    assert result.exit_code == 0
    assert result.summary["problem"] is None
    (replica_status,) = result.summary["replicas"]
    assert replica_status["delivered_at"]
    assert replica_status["queued"] == 0

    (sent_report,) = installation.spool(replica).delivered_reports()
    result = installation.call("verify", str(sent_report.path))
    assert result.exit_code == 0
    assert "this server's own key" in result.stderr
    assert "BROKEN" not in result.stderr


def test_token_from_stdin(installation: Installation, central: FakeCentral) -> None:
    """A token that must not appear in the list of processes comes on stdin."""
    arguments = ["--config", str(installation.conf), "enroll", "-", "--server", central.url]
    process = subprocess.run(
        [sys.executable, "-m", "scanner.collector", *arguments],
        input=central.token() + "\n",
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def make_path_too_long_for_a_report(root: Path) -> None:
    """Make a file below 140 directories with names of 250 bytes."""
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(140):
        os.mkdir("n" * 250, dir_fd=descriptor)
        child = os.open("n" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = child
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)


def test_some_files_not_read(installation: Installation, central: FakeCentral) -> None:
    """A run that could not read everything has exit code 1 and is delivered all the same."""
    replica = installation.enrol(central)
    make_path_too_long_for_a_report(installation.tree)  # even root cannot report it

    result = installation.call("run", "--json", "--workers", "1")

    assert result.exit_code == 1, result.stderr
    assert result.summary["replicas"][0]["skipped"] == 1
    assert len(replica.chain) == 1
    assert b'"reason":"ENAMETOOLONG","count":1' in replica.chain[0].lines[-1]


def test_nothing_done(installation: Installation, central: FakeCentral) -> None:
    """A run without an enrolment and a failed run have exit code 2, and JSON says why."""
    result = installation.call("run", "--json")
    assert result.exit_code == 2
    assert "enroll TOKEN" in result.summary["problems"][0]
    assert result.stderr.count("\n") == 1

    replica = installation.enrol(central)
    replica.root = "/does/not/exist"
    result = installation.call("run", "--json")
    assert result.exit_code == 2
    assert result.summary["replicas"][0]["reason"] == "root missing"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--local", "/tmp"], "--output"),
        (["run", "--output", "/tmp"], "go with --local"),
        (["run", "--local", "/tmp", "--output", "/tmp", "photos"], "takes one directory"),
        (["run", "--workers", "0"], "not between"),
        (["run", "--max-rate", "-1"], "not above 0"),
        (["run", "--engine", "magic"], "invalid choice"),
        (["enroll", "bse1.nonsense", "--server", "http://127.0.0.1:9"], "no enrolment token"),
        (["enroll", "x", "--server", "nowhere"], "is not an address"),
        (["verify", "/does/not/exist"], "cannot read /does/not/exist"),
        (["verify", "/dev/null", "--key", "zz"], "cannot read the key zz"),
        (["frobnicate"], "invalid choice"),
        ([], "required"),
    ],
)
def test_wrong_calls(installation: Installation, arguments: list[str], message: str) -> None:
    """A wrong call says what is wrong, without a traceback, and has exit code 2."""
    result = installation.call(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_wrong_configuration(installation: Installation) -> None:
    """A wrong key in the configuration is named in one line."""
    installation.conf.write_text("[collector]\ncolour = blue\n")
    result = installation.call("status")
    assert result.exit_code == 2
    assert "no such key: colour" in result.stderr
    assert result.stderr.count("\n") == 1


def test_init_writes_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` writes a named configuration that does not exist, and leaves one that exists as it is."""
    path = tmp_path / "etc" / "collector.conf"
    monkeypatch.setattr(config, "default_path", lambda: tmp_path / "none")
    monkeypatch.setattr(config, "default_state", lambda: tmp_path / "state")

    assert cli.run_command_line(["--config", str(path), "init"]) == 0
    text = path.read_text()
    assert f"state = {tmp_path}/state\n" in text
    assert "# keep-days = 30" in text
    assert (tmp_path / "state" / "key.pem").exists()

    path.write_text(text.replace("# keep-days = 30", "keep-days = 3"))
    assert cli.run_command_line(["--config", str(path), "init"]) == 0
    assert "keep-days = 3" in path.read_text()


def test_fault_of_the_program(tmp_path: Path) -> None:
    """A fault of the program has exit code 2: 1 would say that all but some files were read."""
    code = "from scanner.collector import __main__, cli; cli.build_parser = None; __main__.main()"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert "Traceback" in process.stderr


def test_names_cannot_command_the_terminal(installation: Installation, central: FakeCentral) -> None:
    """Names from the central server are printed with codes in place of control characters."""
    installation.enrol(central).group_name = "pho\x1b[31mtos\n"
    result = installation.call("run", "--workers", "1")
    assert result.exit_code == 0
    assert "\x1b" not in result.stderr
    assert "pho\\u001b[31mtos\\u000a" in result.stderr


def test_command_line_as_a_function(capsys: pytest.CaptureFixture[str], installation: Installation) -> None:
    """Called as a function, the command line prints messages to stderr and JSON to stdout, too."""
    assert cli.run_command_line(["--config", str(installation.conf), "status", "--json"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit"] == 2
    assert captured.err == ""

    assert cli.run_command_line(["--config", str(installation.conf), "status"]) == 2
    assert "no identity yet" in capsys.readouterr().err


def test_status_of_a_stuck_queue(installation: Installation, central: FakeCentral) -> None:
    """`status` names what waits and what failed with exit code 1, and a missing answer with 2."""
    replica = installation.enrol(central)
    installation.run(send=False)
    result = installation.call("status")
    assert result.exit_code == 1
    assert "1 queued, last delivered never" in result.stderr
    assert "answers" in result.stderr

    installation.run()
    replica.root = "/does/not/exist"
    installation.run()
    result = installation.call("status", "--json")
    assert result.exit_code == 1
    assert result.summary["replicas"][0]["reason"] == "root missing"

    central.stop()
    result = installation.call("status")
    assert result.exit_code == 2
    assert "cannot reach" in result.stderr
    assert "photos" in result.stderr
