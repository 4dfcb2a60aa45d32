"""`backup-syncer` itself: whose rights its commands have, and how it ends."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import stat
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.backup_syncer.conftest import Command

pytestmark = pytest.mark.xdist_group("quickstart")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_commands_of_root_run_as_the_service_user(
    environment: dict[str, str], python: Path, short: Path, owner: pwd.struct_passwd
) -> None:
    """Once the state belongs to the service user, root's commands have his rights: no file of root's gets into it."""
    code = "import os, json; print(json.dumps([os.getuid(), os.getgid(), os.getgroups(), os.environ['HOME']]))"
    line = [str(python), "-m", "backup_syncer", "shell", "--no-imports", "-v", "0", "-c", code]

    (short / "state" / "keys").mkdir(parents=True)

    def who() -> list[object]:
        completed = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, cwd="/")
        assert completed.returncode == 0, completed.stderr
        output: list[object] = json.loads(completed.stdout)
        return output

    assert who()[0] == 0
    state = short / "state"
    state.chmod(0o711)
    for path in (state / "keys", state / "keys" / "secret_key"):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    assert who() == [owner.pw_uid, owner.pw_gid, [], str(state)]


def test_command_before_the_first_start_makes_nothing(command: Command, short: Path) -> None:
    """A command makes no key that the service could not read, and a mistyped state directory stays missing."""
    completed = command("check", BACKUP_SYNCER_STATE=str(short / "mistyped"), SECRET_KEY="", SECRET_KEY_FILE="")
    assert completed.returncode == 2
    assert completed.stderr.count("\n") == 1 and "not set up yet" in completed.stderr
    assert not (short / "mistyped").exists()
    assert command("help", BACKUP_SYNCER_STATE=str(short / "mistyped")).returncode == 0
    assert not (short / "mistyped").exists()


def test_unknown_command_is_refused(command: Command) -> None:
    """It ends as Django's own commands do: exit code 1 and the name."""
    completed = command("fly")
    assert completed.returncode == 1
    assert "Unknown command: 'fly'" in completed.stderr


@pytest.mark.long
def test_serve_is_the_same_system_without_a_password(
    environment: dict[str, str], python: Path, short: Path, owner: pwd.struct_passwd
) -> None:
    """A service manager keeps what is said, so no password is made. https ends at the proxy; SIGTERM is success."""
    settings = environment | {
        "BACKUP_SYNCER_PUBLIC_URL": "https://backup.example.org",
        "BACKUP_SYNCER_USER": owner.pw_name if owner.pw_name != "nobody" else "daemon",
    }
    line = [str(python), "-m", "backup_syncer", "serve", "--port", "0", "--state", str(short / "state")]
    with subprocess.Popen(line, env=settings, cwd="/", stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        output = ""
        for text in process.stderr:
            output += text
            if "nobody can log in yet" in text or "backup-syncer:" in text:
                break
        port = re.search(r"127\.0\.0\.1:(\d+)", output)
        assert port, output
        request = urllib.request.Request(f"http://127.0.0.1:{port[1]}/login/")
        request.add_header("Host", "backup.example.org")
        request.add_header("X-Forwarded-Proto", "https")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
            assert "Secure" in answer.headers["Set-Cookie"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert "assword" not in output
    assert stat.S_IMODE((short / "state" / "keys").stat().st_mode) == 0o700
