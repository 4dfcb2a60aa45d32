"""One worker process as its parent sees it: its pipes, which never block, the batches it has, and its end."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from typing import Any, Deque, Dict, Iterable, List, Optional, Tuple

import scanner
from scanner.collector.engines import frames
from scanner.collector.engines.worker import Setup
from scanner.collector.entries import WalkedEntry

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(scanner.__file__)))
"""Where the package lies: a directory, or the archive that the collector runs from."""
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from scanner.collector.engines.worker import main; main()"
_READ = 1 << 20


class Batch:
    """Files that go to a worker together, less those that are answered."""

    def __init__(
        self, files: Iterable[WalkedEntry], attempts: int = 0, *, large: bool = False, wide: bool = False
    ) -> None:
        self.files: List[WalkedEntry] = list(files)
        self.waiting: Dict[int, WalkedEntry] = dict(enumerate(self.files))
        self.large = large
        """Whether it is one large file, behind which nothing queues."""
        self.attempts = attempts
        """How often a worker died over it."""
        self.wide = wide
        """Whether a second thread is welcome from the start."""

    def alone(self, attempts: int) -> List[Batch]:
        """A batch for each file that is not answered."""
        return [Batch([found], attempts, large=self.large, wide=self.wide) for found in self.waiting.values()]


class WorkerProcess:
    """A worker in a session of its own, so that one kill ends it and the tools that it runs."""

    def __init__(self, setup: Setup) -> None:
        self.batches: Deque[Batch] = deque()
        self.ready = False
        self.widened = False
        """Whether it was told, during its present batch, that a core is idle."""
        self.quiet = 0.0
        """The seconds for which it has been busy without a word."""
        self.partial = 0
        """The bytes read of the file that is being read."""
        self._inbox = bytearray()
        self._outbox = bytearray(frames.frame((pickle.dumps(setup),)))
        self._process = subprocess.Popen(
            [sys.executable, "-IS", "-c", _BOOT, _HOME],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[] if setup.rate_descriptor is None else [setup.rate_descriptor],
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self.sink, self.source = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self.sink, False)
        os.set_blocking(self.source, False)

    @property
    def pid(self) -> int:
        """The process id, which is that of its session as well."""
        return self._process.pid

    @property
    def sending(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._outbox)

    def give(self, batch: Batch) -> None:
        """Queue a batch."""
        self.batches.append(batch)
        self._outbox += frames.frame((frames.pack_files(batch.files), batch.wide))

    def write(self) -> None:
        """Write what the pipe takes; what a dead worker does not take is found when its output ends."""
        try:
            del self._outbox[: os.write(self.sink, self._outbox)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outbox.clear()

    def read(self) -> Optional[List[Tuple[Any, ...]]]:
        """The messages that have arrived; None once the worker is gone."""
        try:
            data = os.read(self.source, _READ)
        except BlockingIOError:
            return []
        if not data:
            return None
        self._inbox += data
        return list(frames.messages(self._inbox))

    def widen(self) -> None:
        """Tell the worker that a core is idle."""
        self.widened = True
        self._process.send_signal(signal.SIGUSR1)

    def finish(self, patience: float) -> None:
        """Let the worker end by itself for so many seconds, then end it."""
        self._close_pipes()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self, patience: float = 5.0) -> Optional[int]:
        """End the worker and whatever it has started; its return code, None when the kernel does not let go of it.

        The group is killed before the leader is waited for: until then its number cannot have become another's.
        """
        if self._process.returncode is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # PermissionError: macOS, when only a zombie is left
                pass
        self._close_pipes()
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return None

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
