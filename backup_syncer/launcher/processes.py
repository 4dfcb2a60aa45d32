"""The processes that the launcher starts, and those that a launcher left behind when it was killed."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from backup_syncer.launcher.parent_death import die_with_parent
from backup_syncer.launcher.service_user import dropped

MARK = "BACKUP_SYNCER_CHILD_OF"
"""Environment variable of every child: the state folder that it works on. It is found even when all else is lost."""


class Child:
    """One long-lived process and the group that it leads. Ctrl-C at the terminal does not reach it: it has a session of
    its own, and the launcher stops the children in order."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        user: pwd.struct_passwd,
        environment: Mapping[str, str],
        log: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name, self.command, self.user = name, list(command), user
        self.environment, self.log, self.pass_fds = dict(environment), log, tuple(pass_fds)
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        """`time.monotonic()` of the last start."""

    def start(self) -> None:
        """Start it; what it says goes to its log, or to our own stderr where there is none."""
        with contextlib.ExitStack() as stack:
            out: IO[bytes] | None = stack.enter_context(open(self.log, "ab")) if self.log else None
            self.process = subprocess.Popen(
                self.command,
                cwd="/",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT if out else None,
                pass_fds=self.pass_fds,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  # the launcher runs one thread
                **dropped(self.user),
            )
        self.started = time.monotonic()

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        return None if self.process is None else self.process.poll()

    def stop(self, grace: float) -> None:
        """Ask the leader to end, wait, then end the whole group: a leader that dies leaves its workers behind."""
        if self.process is None:
            return
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """End the whole group at once."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


def left_over(state: Path) -> list[psutil.Process]:
    """Children of an earlier launcher of this state folder that are still there."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            if process.environ().get(MARK) == str(state):
                found.append(process)
    return found


def stop_left_over(state: Path, grace: float = 15) -> int:
    """End them, the leaders gently, and say how many there were."""
    found = left_over(state)
    numbers = {process.pid for process in found}
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() not in numbers:
                process.terminate()
    deadline = time.monotonic() + grace
    while left_over(state) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in left_over(state):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return len(found)
