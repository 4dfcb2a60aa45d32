"""Start a worker process, talk to it through pipes that never block, and end it: the parent's side of `worker`."""

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
from scanner.collector.engines.worker import WorkerSetup
from scanner.collector.entries import WalkedEntry

_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(scanner.__file__)))
"""What holds the package: a directory, or the archive that the collector runs from."""
_START = "import sys; sys.path.insert(0, sys.argv[1]); from scanner.collector.engines.worker import main; main()"
_READ_BYTES = 1 << 20


class Batch:
    """Files that go to a worker together."""

    def __init__(
        self,
        files: Iterable[WalkedEntry],
        deaths: int = 0,
        *,
        is_large: bool = False,
        second_thread: bool = False,
    ) -> None:
        self.files: List[WalkedEntry] = list(files)
        self.unanswered: Dict[int, WalkedEntry] = dict(enumerate(self.files))
        """Files without a result, by their index."""
        self.deaths = deaths
        """How many workers died over it."""
        self.is_large = is_large
        """Whether it is one large file, behind which nothing queues."""
        self.second_thread = second_thread
        """Whether a second thread is allowed from the start."""

    def split(self, deaths: int) -> List[Batch]:
        """Return a batch for each file without a result."""
        return [
            Batch([entry], deaths, is_large=self.is_large, second_thread=self.second_thread)
            for entry in self.unanswered.values()
        ]


class WorkerProcess:
    """A worker in a session of its own, so that one kill ends it and the tools that it runs."""

    def __init__(self, setup: WorkerSetup) -> None:
        self.batches: Deque[Batch] = deque()
        """What it has to do, the present batch first."""
        self.ready = False
        self.has_second_thread = False
        """Whether it was allowed a second thread during its present batch."""
        self.silent_seconds = 0.0
        """For how long it has been busy without a message."""
        self.bytes_of_file = 0
        """Bytes read of the file that is being read."""

        self._inbox = bytearray()
        self._outbox = bytearray(frames.encode_message((pickle.dumps(setup),)))
        # -I and -S: neither the user's environment nor site-packages change what a worker runs, and it starts sooner.
        self._process = subprocess.Popen(
            [sys.executable, "-IS", "-c", _START, _PACKAGE_PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[] if setup.rate_descriptor is None else [setup.rate_descriptor],
            start_new_session=True,
        )

        assert self._process.stdin is not None and self._process.stdout is not None
        self.sink = self._process.stdin.fileno()
        """Descriptor to write to."""
        self.source = self._process.stdout.fileno()
        """Descriptor to read from."""

        # One loop serves all workers: a slow one must not hold up the others.
        os.set_blocking(self.sink, False)
        os.set_blocking(self.source, False)

    @property
    def pid(self) -> int:
        """Return the process id, which is that of its session as well."""
        return self._process.pid

    @property
    def has_output(self) -> bool:
        """Return whether something waits to be written."""
        return bool(self._outbox)

    def queue_batch(self, batch: Batch) -> None:
        """Queue a batch behind those that the worker has."""
        self.batches.append(batch)
        self._outbox += frames.encode_message((frames.pack_files(batch.files), batch.second_thread))

    def write_output(self) -> None:
        """Write what the pipe takes. That a worker has died shows when its output ends."""
        try:
            del self._outbox[: os.write(self.sink, self._outbox)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outbox.clear()

    def read_messages(self) -> Optional[List[Tuple[Any, ...]]]:
        """Return the messages that have arrived, or None once the worker is gone."""
        try:
            data = os.read(self.source, _READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            return None

        self._inbox += data
        return list(frames.take_messages(self._inbox))

    def allow_second_thread(self) -> None:
        """Tell the worker that a core is idle."""
        self.has_second_thread = True
        self._process.send_signal(signal.SIGUSR1)

    def finish(self, patience: float) -> None:
        """Let the worker end by itself for so many seconds, then kill it."""
        self._close_pipes()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self, patience: float = 5.0) -> Optional[int]:
        """Kill the worker and whatever it has started. Return its exit code, or None when it does not go away.

        The group is killed before its leader is waited for: until then the number cannot belong to another group.
        """
        if self._process.returncode is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                # PermissionError: macOS says so when only a zombie is left.
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
