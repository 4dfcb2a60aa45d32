"""Start and stop child processes, and find those that a killed launcher left behind."""

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
from backup_syncer.launcher.service_user import run_as

MARK = "BACKUP_SYNCER_CHILD_OF"
"""Environment variable of every child: the state directory that it works on. It is found even when all else is lost."""


class Child:
    """One long-lived process and the process group that it leads.

    Ctrl-C at the terminal does not reach it: it has a session of its own, and the launcher stops the children in order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        user: pwd.struct_passwd,
        environment: Mapping[str, str],
        log: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.command = list(command)
        self.user = user
        self.environment = dict(environment)
        self.log = log
        self.pass_fds = tuple(pass_fds)
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        """`time.monotonic()` of the last start."""

    def start(self) -> None:
        """Start the process. Its output goes to its log, or to our own stderr where there is none."""
        with contextlib.ExitStack() as stack:
            output: IO[bytes] | None = None
            errors: int | None = None
            if self.log:
                output = stack.enter_context(open(self.log, "ab"))
                errors = subprocess.STDOUT

            self.process = subprocess.Popen(
                self.command,
                cwd="/",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                pass_fds=self.pass_fds,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  # the launcher runs one thread
                **run_as(self.user),
            )
        self.started = time.monotonic()

    def ended(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        if self.process is None:
            return None
        return self.process.poll()

    def stop(self, grace: float) -> None:
        """Ask the leader to end, wait `grace` seconds, then kill the group: a leader that dies leaves its workers."""
        if self.process is None:
            return

        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """Kill the whole group at once."""
        if self.process is None:
            return

        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


def find_leftovers(state: Path) -> list[psutil.Process]:
    """Return the children of an earlier launcher of this state directory that still run."""
    leftovers = []
    for process in psutil.process_iter():
        # Processes end while they are listed, and other users' environments are closed.
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            if process.environ().get(MARK) == str(state):
                leftovers.append(process)
    return leftovers


def stop_leftovers(state: Path, grace: float = 15) -> int:
    """End the children of an earlier launcher: leaders by SIGTERM, what is left after `grace` seconds by SIGKILL.

    Return how many there were.
    """
    leftovers = find_leftovers(state)
    pids = {process.pid for process in leftovers}

    for process in leftovers:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() not in pids:
                process.terminate()

    # Looked for anew each time: what a leader has started meanwhile counts, too.
    deadline = time.monotonic() + grace
    while find_leftovers(state) and time.monotonic() < deadline:
        time.sleep(0.1)

    for process in find_leftovers(state):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return len(leftovers)
