"""Hash files with a pool of worker processes: files go in, largest first, and results come out as they are done.

A worker that dies or hangs costs at most the file that it died over. Its other files are given to other workers, one
at a time, until the file that kills is known.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from types import TracebackType
from typing import Deque, Iterable, Iterator, List, Optional, Type

from scanner.collector.engines import frames
from scanner.collector.engines.base import Engine
from scanner.collector.engines.choice import EngineChoice
from scanner.collector.engines.worker import WorkerSetup
from scanner.collector.engines.worker_process import Batch, WorkerProcess
from scanner.collector.entries import FailedFile, FileResult, WalkedEntry
from scanner.collector.system.rate_limit import RateLimit

NO_PROGRESS = 600.0
"""Seconds without progress after which a file is given up."""
DIED = "EOWNERDEAD"
"""Error of a file over which worker after worker died: the errno of a lock whose owner died."""
# Error of a file that a worker could not read on.
_HUNG = "ETIMEDOUT"
_DEATHS_PER_FILE = 3
_FAILED_STARTS = 3
_POLL_SECONDS = 0.5
# A worker has its next batch before it has finished the present one, so that it never waits.
_BATCHES_PER_WORKER = 2
# Time that a worker gets to end.
_END_SECONDS = 5.0


class HashPassError(Exception):
    """The hash pass cannot go on: a fault of the program or of the machine, not of a file."""


class HashPass:
    """Pool of workers that hash the files below one root.

    One thread uses it. The workers end with its context.
    """

    def __init__(
        self,
        root: bytes,
        choice: EngineChoice,
        workers: int,
        max_rate: Optional[float] = None,
        *,
        no_progress: float = NO_PROGRESS,
    ) -> None:
        """`max_rate` is in bytes a second, for all workers together; `no_progress` is in seconds."""
        self.bytes_done = 0
        """Bytes read so far, those of unfinished files included. Any thread may read it."""
        self._engine: Engine = choice.engine
        self._most_workers = max(1, workers)
        self._limit: Optional[RateLimit] = None
        descriptor: Optional[int] = None
        if max_rate is not None:
            # The workers share the limit by a temporary file.
            try:
                self._limit = RateLimit(max_rate)
            except OSError as error:
                raise HashPassError(f"no limit on the rate: {error.strerror or error}; set TMPDIR") from error
            descriptor = self._limit.fileno()
        self._setup = WorkerSetup(root, self._engine, max_rate, descriptor, no_progress)
        self._workers: List[WorkerProcess] = []
        self._requeued: Deque[Batch] = deque()
        """Batches of dead workers. They go out before new ones."""
        self._next_batch: Optional[Batch] = None
        """Batch that no worker could take yet."""
        self._bytes_finished = 0
        self._failed_starts = 0

    def __enter__(self) -> HashPass:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()

    @property
    def worker_pids(self) -> List[int]:
        """Process ids of the workers, as far as is known alive."""
        return [worker.pid for worker in self._workers]

    def close(self) -> None:
        """End the workers and all that they started. Workers that still have work are killed."""
        busy_workers = [worker for worker in self._workers if worker.batches]
        idle_workers = [worker for worker in self._workers if not worker.batches]
        self._workers = []
        for worker in busy_workers:
            worker.kill(_END_SECONDS)
        for worker in idle_workers:
            worker.finish(_END_SECONDS)
        if self._limit is not None:
            self._limit.close()

    def run(self, files: Iterable[WalkedEntry], total_bytes: Optional[int] = None) -> Iterator[FileResult]:
        """Yield one result for each file, in any order. `files` come largest first and are taken as they are needed.

        With `total_bytes`, a file that is larger than all files after it has two threads from its start. Without, it
        gets the second one when the other workers have run out of work. Raises HashPassError.
        """
        batches = self._make_batches(files, total_bytes)
        try:
            while self._assign_batches(batches):
                for worker in self._poll():
                    yield from self._read_results(worker)

                hanging_workers = [
                    worker for worker in self._workers if worker.silent_seconds > self._setup.no_progress
                ]
                for worker in hanging_workers:
                    yield from self._on_worker_hang(worker)
        finally:
            self.close()

    def _make_batches(self, files: Iterable[WalkedEntry], total_bytes: Optional[int]) -> Iterator[Batch]:
        """Yield the files in batches. A large file is a batch of its own."""
        bytes_left = total_bytes
        batch_files: List[WalkedEntry] = []
        batch_bytes = 0
        for file in files:
            if bytes_left is not None:
                bytes_left -= file.size

            if file.size >= self._engine.large_file_bytes:
                is_larger_than_rest = bytes_left is not None and file.size > bytes_left
                yield Batch([file], is_large=True, second_thread=is_larger_than_rest)
                continue

            batch_files.append(file)
            batch_bytes += file.size
            if batch_bytes >= self._engine.batch_bytes or len(batch_files) >= self._engine.batch_files:
                yield Batch(batch_files)
                batch_files = []
                batch_bytes = 0

        if batch_files:
            yield Batch(batch_files)

    def _assign_batches(self, batches: Iterator[Batch]) -> bool:
        """Give each worker its next batches. Return whether there is still something to wait for."""
        while True:
            if self._next_batch is None:
                self._next_batch = self._take_batch(batches)
            if self._next_batch is None:
                self._lend_idle_cores()
                return any(worker.batches for worker in self._workers)

            worker = self._pick_worker(self._next_batch)
            if worker is None:
                return True
            worker.queue_batch(self._next_batch)
            self._next_batch = None

    def _take_batch(self, batches: Iterator[Batch]) -> Optional[Batch]:
        if self._requeued:
            return self._requeued.popleft()
        return next(batches, None)

    def _pick_worker(self, batch: Batch) -> Optional[WorkerProcess]:
        """Return the worker for a batch: an idle one, a new one while there are too few, or one with a short queue.

        None means that the batch must wait. Nothing queues behind a large file, and a large file queues behind nothing:
        it would be begun late while another worker becomes idle.
        """
        for worker in self._workers:
            if not worker.batches:
                return worker

        if len(self._workers) < self._most_workers:
            new_worker = WorkerProcess(self._setup)
            self._workers.append(new_worker)
            return new_worker

        for worker in self._workers:
            has_room = len(worker.batches) < _BATCHES_PER_WORKER
            if has_room and not batch.is_large and not worker.batches[0].is_large:
                return worker
        return None

    def _lend_idle_cores(self) -> None:
        """Let the largest files that are still being read have a second thread on the idle cores.

        Called when no batch is left.
        """
        busy_workers = [worker for worker in self._workers if worker.batches]
        workers_with_second_thread = sum(worker.has_second_thread for worker in busy_workers)
        idle_cores = max(0, self._most_workers - len(busy_workers) - workers_with_second_thread)

        candidates = [
            worker
            for worker in busy_workers
            if worker.ready and worker.batches[0].is_large and not worker.has_second_thread
        ]
        candidates.sort(key=lambda worker: worker.batches[0].files[0].size, reverse=True)
        for worker in candidates[:idle_cores]:
            worker.allow_second_thread()

    def _poll(self) -> List[WorkerProcess]:
        """Write to the pipes what they take, or wait a moment. Return the workers that have sent something."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker.source, selectors.EVENT_READ, worker)
                if worker.has_output:
                    selector.register(worker.sink, selectors.EVENT_WRITE, worker)
            wait_start = time.monotonic()
            ready_pipes = selector.select(_POLL_SECONDS)
            seconds_waited = time.monotonic() - wait_start

        speaking_workers = []
        for key, events in ready_pipes:
            if events & selectors.EVENT_WRITE:
                key.data.write_output()
            else:
                speaking_workers.append(key.data)

        # Only time spent waiting here counts as silence: whoever consumes the results may take any time,
        # and a machine that was suspended meanwhile counts as one poll.
        for worker in self._workers:
            if worker in speaking_workers or not worker.batches:
                worker.silent_seconds = 0.0
            else:
                worker.silent_seconds += min(seconds_waited, 2 * _POLL_SECONDS)
        return speaking_workers

    def _read_results(self, worker: WorkerProcess) -> Iterator[FileResult]:
        """Read what a worker has sent and yield the results in it."""
        messages = worker.read_messages()
        if messages is None:  # the end of its output: the worker is dead
            yield from self._on_worker_death(worker)
            return

        for kind, *content in messages:
            if kind == frames.MessageType.RESULTS:
                yield from self._unpack_results(worker, content[0])
            elif kind == frames.MessageType.PROGRESS:
                worker.bytes_of_file = content[0]
            elif kind == frames.MessageType.READY:
                # A worker that started proves that workers can start: earlier failures no longer count.
                worker.ready = True
                self._failed_starts = 0
            else:
                raise HashPassError(content[0])
        self._count_bytes()

    def _unpack_results(self, worker: WorkerProcess, packed_answers: List[frames.PackedAnswer]) -> Iterator[FileResult]:
        """Yield the results of files of the worker's present batch."""
        worker.bytes_of_file = 0
        unanswered = worker.batches[0].unanswered
        for packed in packed_answers:
            file = unanswered.pop(packed[0])
            self._bytes_finished += file.size
            yield frames.unpack_answer(file, packed)

        if not unanswered:
            worker.batches.popleft()
            worker.has_second_thread = False

    def _on_worker_death(self, worker: WorkerProcess) -> Iterator[FileResult]:
        """Requeue the work of a dead worker, and yield a failure for a file over which three have died."""
        exit_status = worker.kill()
        if worker.ready:
            yield from self._requeue(worker, DIED)
            return

        self._failed_starts += 1
        if self._failed_starts >= _FAILED_STARTS:
            raise HashPassError(f"the workers do not start: the last one ended with {exit_status}")
        yield from self._requeue(worker, None)

    def _on_worker_hang(self, worker: WorkerProcess) -> Iterator[FileResult]:
        """Kill a worker that makes no progress, and yield a failure for a file that hung when it was alone."""
        worker.kill(patience=_POLL_SECONDS)
        if not worker.ready:
            raise HashPassError("the workers do not start: one hangs")
        yield from self._requeue(worker, _HUNG)

    def _requeue(self, worker: WorkerProcess, error: Optional[str]) -> Iterator[FileResult]:
        """Give the batches of a worker that ended to the others.

        `error` is what its present batch suffered, None when the worker had not begun it. The files of that batch go
        out one by one from now on, and fail when they did that already, or, after deaths, when that was the third.
        """
        self._workers.remove(worker)

        if not worker.batches:
            return

        # A worker takes its batches in order, so only the first one can have killed it.
        present_batch, *queued_batches = worker.batches
        self._requeued.extendleft(reversed(queued_batches))
        if error is None:
            self._requeued.appendleft(present_batch)
            return

        deaths = present_batch.deaths
        if error == DIED:
            deaths += 1
        is_alone = len(present_batch.files) == 1
        if deaths == _DEATHS_PER_FILE or (error == _HUNG and is_alone):
            for file in present_batch.unanswered.values():
                self._bytes_finished += file.size
                yield FailedFile(file.path, error, "read")
        else:
            self._requeued.extendleft(present_batch.split(deaths))
        self._count_bytes()

    def _count_bytes(self) -> None:
        self.bytes_done = self._bytes_finished + sum(worker.bytes_of_file for worker in self._workers)
