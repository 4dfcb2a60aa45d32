"""Give batches to a worker process: the parent's side of `worker`."""

from __future__ import annotations

import signal
from collections import deque
from typing import Deque, Dict, Iterable, List

from scanner.collector.engines import frames
from scanner.collector.engines.worker import WorkerSetup
from scanner.collector.entries import WalkedEntry
from scanner.collector.system.child_process import ChildProcess


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


class WorkerProcess(ChildProcess):
    """A worker, and what it has to do."""

    def __init__(self, setup: WorkerSetup) -> None:
        self.batches: Deque[Batch] = deque()
        """What it has to do, the present batch first."""
        self.has_second_thread = False
        """Whether it was allowed a second thread during its present batch."""
        self.bytes_of_file = 0
        """Bytes read of the file that is being read."""

        descriptors = [] if setup.rate_descriptor is None else [setup.rate_descriptor]
        super().__init__("scanner.collector.engines.worker", setup, descriptors)

    def queue_batch(self, batch: Batch) -> None:
        """Queue a batch behind those that the worker has."""
        self.batches.append(batch)
        self.queue_message(frames.pack_files(batch.files), batch.second_thread)

    def allow_second_thread(self) -> None:
        """Tell the worker that a core is idle."""
        self.has_second_thread = True
        self.send_signal(signal.SIGUSR1)
