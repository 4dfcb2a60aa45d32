"""The program: commands, help, one clear line for each error, exit codes, JSON on stdout alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.collector import cli
from scanner.collector import config as configuration
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
    done = installation.call(*filter(None, [command]), "--help")
    assert done.exit_code == 0 and "exit codes" in done.stdout.replace("\n", " ") and done.stderr == ""


def test_road_of_the_program(installation: Installation, central: FakeCentral) -> None:
    """init, enroll, run, status and verify, as a person would."""
    done = installation.call("init")
    assert done.exit_code == 0 and "key" in done.stderr and done.stdout == ""
    done = installation.call("enroll", central.token(), "--server", central.url)
    assert done.exit_code == 0 and "enrolled as alpha" in done.stderr, done.stderr
    replica = central.add_replica(installation.tree)
    done = installation.call("run", "--json", "--workers", "1")
    assert done.exit_code == 0, done.stderr
    (one,) = done.summary["replicas"]
    assert (one["sequence"], one["outcome"], one["files"], one["delivered"]) == (1, "complete", 14, True)
    assert "photos" in done.stderr and "delivered" in done.stderr
    done = installation.call("status", "--json")
    (one,) = done.summary["replicas"]
    assert done.exit_code == 0 and done.summary["problem"] is None and one["delivered_at"] and one["queued"] == 0
    (sent,) = installation.spool(replica).delivered_reports()
    done = installation.call("verify", str(sent.path))
    assert done.exit_code == 0 and "this server's own key" in done.stderr and "BROKEN" not in done.stderr


def test_token_from_stdin(installation: Installation, central: FakeCentral) -> None:
    """A token that should not stand in the process list comes on stdin."""
    command = [
        sys.executable,
        "-m",
        "scanner.collector",
        "--config",
        str(installation.conf),
        "enroll",
        "-",
        "--server",
        central.url,
    ]
    done = subprocess.run(
        command, input=central.token() + "\n", env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_some_files_not_read(installation: Installation, central: FakeCentral) -> None:
    """Files that could not be read: exit code 1, delivered all the same."""
    replica = installation.enrol(central)
    deep = os.open(installation.tree, os.O_RDONLY)
    for _ in range(140):  # beyond what a line can hold, which root cannot read away either
        os.mkdir("n" * 250, dir_fd=deep)
        below = os.open("n" * 250, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=deep))
    os.close(deep)
    done = installation.call("run", "--json", "--workers", "1")
    assert done.exit_code == 1, done.stderr
    assert done.summary["replicas"][0]["skipped"] == 1 and len(replica.chain) == 1
    assert b'"reason":"ENAMETOOLONG","count":1' in replica.chain[0].lines[-1]


def test_nothing_done(installation: Installation, central: FakeCentral) -> None:
    """A failed run, and one without an enrolment: exit code 2; JSON says why."""
    done = installation.call("run", "--json")
    assert done.exit_code == 2 and "enroll TOKEN" in done.summary["problems"][0] and done.stderr.count("\n") == 1
    replica = installation.enrol(central)
    replica.root = "/does/not/exist"
    done = installation.call("run", "--json")
    assert done.exit_code == 2 and done.summary["replicas"][0]["reason"] == "root missing"


@pytest.mark.parametrize(
    ("arguments", "words"),
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
def test_wrong_calls(installation: Installation, arguments: list[str], words: str) -> None:
    """A wrong call is answered with what is wrong, exit code 2, no traceback."""
    done = installation.call(*arguments)
    assert done.exit_code == 2 and words in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


def test_wrong_configuration(installation: Installation) -> None:
    """A wrong key in the configuration is one line with its name."""
    installation.conf.write_text("[collector]\ncolour = blue\n")
    done = installation.call("status")
    assert done.exit_code == 2 and "no such key: colour" in done.stderr and done.stderr.count("\n") == 1


def test_init_writes_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` with a configuration that is not there yet writes one that every command can read."""
    path = tmp_path / "etc" / "collector.conf"
    monkeypatch.setattr(configuration, "default_path", lambda: tmp_path / "none")
    monkeypatch.setattr(configuration, "default_state", lambda: tmp_path / "state")
    assert cli.run_command_line(["--config", str(path), "init"]) == 0
    text = path.read_text()
    assert f"state = {tmp_path}/state\n" in text and "# keep-days = 30" in text
    assert (tmp_path / "state" / "key.pem").exists()
    path.write_text(text.replace("# keep-days = 30", "keep-days = 3"))
    assert cli.run_command_line(["--config", str(path), "init"]) == 0 and "keep-days = 3" in path.read_text()


def test_fault_of_the_program(tmp_path: Path) -> None:
    """A fault of the program itself is "not done", 2: 1 would say that all but some files were read."""
    code = (
        "import scanner.collector.cli as c; c.build_parser = None; from scanner.collector.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "Traceback" in done.stderr


def test_names_cannot_command_the_terminal(installation: Installation, central: FakeCentral) -> None:
    """Names from the central server are shown, not obeyed."""
    installation.enrol(central).group_name = "pho\x1b[31mtos\n"
    done = installation.call("run", "--workers", "1")
    assert done.exit_code == 0 and "\x1b" not in done.stderr and "pho\\u001b[31mtos\\u000a" in done.stderr


def test_parser_in_process(capsys: pytest.CaptureFixture[str], installation: Installation) -> None:
    """The same as a function: what is said goes to stderr, JSON to stdout."""
    assert cli.run_command_line(["--config", str(installation.conf), "status", "--json"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit"] == 2 and captured.err == ""
    assert cli.run_command_line(["--config", str(installation.conf), "status"]) == 2
    assert "no identity yet" in capsys.readouterr().err


def test_status_of_a_jammed_queue(installation: Installation, central: FakeCentral) -> None:
    """status says what waits and what failed; exit code 1, and 2 when nobody answers."""
    replica = installation.enrol(central)
    installation.run(send=False)
    done = installation.call("status")
    assert done.exit_code == 1 and "1 queued, last delivered never" in done.stderr and "answers" in done.stderr
    installation.run()
    replica.root = "/does/not/exist"
    installation.run()
    done = installation.call("status", "--json")
    assert done.exit_code == 1 and done.summary["replicas"][0]["reason"] == "root missing"
    central.stop()
    done = installation.call("status")
    assert done.exit_code == 2 and "cannot reach" in done.stderr and "photos" in done.stderr
