"""Run the collector of the quick start: the program that other servers run, as the person who started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from backup_syncer.bundled import PACKAGE
from backup_syncer.errors import StepFailed

GRACE = 10.0
SECRETS = ("SECRET_KEY", "SECRET_KEY_FILE", "DATABASE_URL", "DATABASE_URL_FILE")

CONFIG = """\
# Written by the quick start for the collector of this machine.
[collector]
server = {url}
state = {state}
"""


class LocalCollector:
    """A collector with its configuration and state in `directory`, which belongs to the present user.

    While it works, `meanwhile` is called several times a second: the system that it reports to has to be looked after.
    """

    def __init__(self, directory: Path, url: str, meanwhile: Callable[[], None]) -> None:
        self.directory = directory
        self.url = url
        self.meanwhile = meanwhile
        self.config = directory / "collector.conf"

    def prepare(self) -> None:
        """Make directory and configuration. The address is written anew, since the port may have changed."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.config.write_text(CONFIG.format(url=self.url, state=self.directory / "state"), encoding="utf-8")

    def enroll(self, token: str) -> None:
        """Make the key and register it. The token goes through stdin: everybody can read command lines."""
        code = self._run("enroll", "-", "--server", self.url, stdin=f"{token}\n")
        if code:
            raise StepFailed(f"the collector could not enrol (exit code {code}); its message is above")

    def run(self, replica: str) -> int:
        """Hash and deliver one replica. Return 0, or 1 when some files could not be read; else raise StepFailed."""
        code = self._run("run", replica)
        if code not in (0, 1):
            raise StepFailed(
                f"the collector's run was not done or not delivered (exit code {code}); its message is above"
            )
        return code

    def _run(self, *arguments: str, stdin: str = "") -> int:
        # The collector is a program for other machines: it gets nothing that only the central server may know.
        environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
        environment["PYTHONPATH"] = str(PACKAGE.parent)
        command = [*_program(), "--config", str(self.config), *arguments]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=sys.stderr)
        try:
            _hand_over(process, stdin)
            while process.poll() is None:
                self.meanwhile()
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                _end(process)
        return process.returncode


def _program() -> Sequence[str]:
    """Return the command: the installed one beside this Python, or the module in a checkout."""
    installed = Path(sys.executable).parent / "backup-syncer-collector"
    if installed.exists():
        return [str(installed)]
    return [sys.executable, "-m", "scanner.collector"]


def _hand_over(process: subprocess.Popen[bytes], text: str) -> None:
    """Write the text to stdin; it is shorter than a pipe's buffer. A program that ended early says so by its code."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(text.encode())


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
