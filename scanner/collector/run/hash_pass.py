"""Hash files with a pool of worker processes: files go in, largest first, and results come out as they are done.

A worker that dies or hangs costs at most the file that it died over. Its other files are given to other workers, one
at a time, until the file that kills is known.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from types import TracebackType
from typing import Deque, Dict, Iterable, Iterator, List, Optional, Type

from scanner.collector.engines import frames
from scanner.collector.engines.base import Engine
from scanner.collector.engines.choice import EngineChoice
from scanner.collector.engines.worker import WorkerSetup
from scanner.collector.engines.worker_process import Batch, WorkerProcess
from scanner.collector.entries import FailedFile, FileResult, WalkedEntry
from scanner.collector.run.limits import NO_PROGRESS
from scanner.collector.run.walk import HUNG
from scanner.collector.system.rate_limit import RateLimit

DIED = "EOWNERDEAD"
"""Error of a file over which worker after worker died: the errno of a lock whose owner died."""
_DEATHS_PER_FILE = 3
# After so many hangs, between which no file of the device could be read, all its other files are given up.
_HANGS_PER_DEVICE = 16
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
        self._hangs: Dict[int, int] = {}
        """By device: hangs since a file of it was read."""
        self._given_up: List[WalkedEntry] = []
        """Files of devices that give no answer."""

    def __enter__(self) -> HashPass:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()

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
                yield from self._fail_given_up()
                for worker in self._poll():
                    yield from self._read_results(worker)

                hanging_workers = [
                    worker for worker in self._workers if worker.silent_seconds > self._setup.no_progress
                ]
                for worker in hanging_workers:
                    yield from self._on_worker_hang(worker)
            yield from self._fail_given_up()
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
        while True:
            batch = self._requeued.popleft() if self._requeued else next(batches, None)
            if batch is None or not self._gives_up(batch):
                return batch

    def _gives_up(self, batch: Batch) -> bool:
        """Take the files of devices that give no answer out of a batch. Return whether nothing is left."""
        if not self._hangs:
            return False
        gone_files = [file for file in batch.files if self._hangs.get(file.dev, 0) >= _HANGS_PER_DEVICE]
        if not gone_files:
            return False

        self._given_up += gone_files
        remaining_files = [file for file in batch.files if file not in gone_files]
        if remaining_files:
            self._requeued.appendleft(
                Batch(remaining_files, batch.deaths, is_large=batch.is_large, second_thread=batch.second_thread)
            )
        return True

    def _fail_given_up(self) -> Iterator[FileResult]:
        for file in self._given_up:
            self._bytes_finished += file.size
            yield FailedFile(file.path, HUNG, "read")
        self._given_up = []
        self._count_bytes()

    def _pick_worker(self, batch: Batch) -> Optional[WorkerProcess]:
        """Return the worker for a batch: an idle one, a new one while there are too few, or one with a short queue.

        None means that the batch must wait. Nothing queues behind a large file, and a large file queues behind nothing:
        it would be begun late while another worker becomes idle.
        """
        for worker in self._workers:
            if not worker.batches:
                return worker

        if len(self._workers) < self._most_workers:
            new_worker = self._start_worker()
            if new_worker is not None:
                return new_worker

        for worker in self._workers:
            has_room = len(worker.batches) < _BATCHES_PER_WORKER
            if has_room and not batch.is_large and not worker.batches[0].is_large:
                return worker
        return None

    def _start_worker(self) -> Optional[WorkerProcess]:
        """Return a new worker, or None when the system starts no more of them. Raises HashPassError without any."""
        try:
            worker = WorkerProcess(self._setup)
        except OSError as error:
            if not self._workers:
                raise HashPassError(f"the workers do not start: {error.strerror or error}") from error
            # Those that work must do. They are asked for no second thread either.
            self._most_workers = len(self._workers)
            return None
        self._workers.append(worker)
        return worker

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
        with _selector() as selector:
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
            self._hangs.pop(file.dev, None)
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
        device = next(iter(worker.batches[0].unanswered.values())).dev
        self._hangs[device] = self._hangs.get(device, 0) + 1
        yield from self._requeue(worker, HUNG)

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
        if deaths == _DEATHS_PER_FILE or (error == HUNG and is_alone):
            for file in present_batch.unanswered.values():
                self._bytes_finished += file.size
                yield FailedFile(file.path, error, "read")
        else:
            self._requeued.extendleft(present_batch.split(deaths))
        self._count_bytes()

    def _count_bytes(self) -> None:
        self.bytes_done = self._bytes_finished + sum(worker.bytes_of_file for worker in self._workers)


def _selector() -> selectors.BaseSelector:
    try:
        return selectors.DefaultSelector()
    except OSError as error:
        raise HashPassError(f"no descriptor left: {error.strerror or error}") from error
