"""The hash pass: files in, largest first; digests, or why there are none, out as they are done.

The work is done by a few worker processes. A worker that dies or hangs costs no more than the file that it died over:
what it had is given to others, one file at a time, until the guilty one is known.
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
from scanner.collector.engines.process import Batch, WorkerProcess
from scanner.collector.engines.worker import Setup
from scanner.collector.entries import FailedFile, FileResult, WalkedEntry
from scanner.collector.system.impact import RateLimit

NO_PROGRESS = 600.0
"""The seconds without progress after which a file is given up."""
DIED = "EOWNERDEAD"
"""The error of a file over which worker after worker died: the errno of a lock whose owner died."""
_DEATHS = 3
_FALSE_STARTS = 3
_POLL = 0.5
_QUEUED = 2
"""A worker has its next batch before it has done its present one."""
_PATIENCE = 5.0


class HashPassError(Exception):
    """The hash pass cannot go on: a fault of the program or of the machine, not of a file."""


class HashPass:
    """A pool of workers that hash the files below one root. One thread uses it; the end of its context is theirs."""

    def __init__(
        self,
        root: bytes,
        choice: EngineChoice,
        workers: int,
        max_rate: Optional[float] = None,
        *,
        no_progress: float = NO_PROGRESS,
    ) -> None:
        """`max_rate` is in bytes a second, for all workers together; `no_progress` in seconds."""
        self.bytes_done = 0
        """The bytes read so far, also of files that are still being read; any thread may look."""
        self._engine: Engine = choice.engine
        self._wanted = max(1, workers)
        try:
            self._limit = None if max_rate is None else RateLimit(max_rate)
        except OSError as error:
            raise HashPassError(f"no limit on the rate: {error.strerror or error}; set TMPDIR") from error
        descriptor = None if self._limit is None else self._limit.fileno()
        self._setup = Setup(root, self._engine, max_rate, descriptor, no_progress)
        self._workers: List[WorkerProcess] = []
        self._again: Deque[Batch] = deque()
        self._finished = 0
        self._false_starts = 0
        self._next: Optional[Batch] = None

    def __enter__(self) -> HashPass:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    @property
    def worker_pids(self) -> List[int]:
        """The worker processes that are alive, or were when they were last heard of."""
        return [worker.pid for worker in self._workers]

    def close(self) -> None:
        """End the workers and all that they started, at once when they still have work."""
        busy = [worker for worker in self._workers if worker.batches]
        idle = [worker for worker in self._workers if not worker.batches]
        self._workers = []
        for worker in busy:
            worker.kill(_PATIENCE)
        for worker in idle:
            worker.finish(_PATIENCE)
        if self._limit is not None:
            self._limit.close()

    def run(self, files: Iterable[WalkedEntry], total_bytes: Optional[int] = None) -> Iterator[FileResult]:
        """One result for each file, in any order; `files` come largest first and are taken as they are needed.

        `total_bytes`, if known, lets a file that is larger than all the others together have two threads from its
        start; else it gets the second one when the other workers have run out of work. Raises HashPassError.
        """
        batches = self._batches(files, total_bytes)
        try:
            while self._feed(batches):
                for worker in self._poll():
                    yield from self._hear(worker)
                for worker in [each for each in self._workers if each.quiet > self._setup.no_progress]:
                    yield from self._give_up(worker)
        finally:
            self.close()

    def _batches(self, files: Iterable[WalkedEntry], total_bytes: Optional[int]) -> Iterator[Batch]:
        """The files as batches; those that are large, alone."""
        left = total_bytes
        waiting: List[WalkedEntry] = []
        size = 0
        for found in files:
            if left is not None:
                left -= found.size
            if found.size >= self._engine.lone:
                yield Batch([found], large=True, wide=left is not None and found.size > left)
                continue
            waiting.append(found)
            size += found.size
            if size >= self._engine.batch_bytes or len(waiting) >= self._engine.batch_files:
                yield Batch(waiting)
                waiting, size = [], 0
        if waiting:
            yield Batch(waiting)

    def _feed(self, batches: Iterator[Batch]) -> bool:
        """Give each worker its next batches; whether there is still something to wait for."""
        while True:
            if self._next is None:
                self._next = self._again.popleft() if self._again else next(batches, None)
            if self._next is None:
                self._widen()
                return any(worker.batches for worker in self._workers)
            worker = self._hungry(self._next)
            if worker is None:
                return True
            worker.give(self._next)
            self._next = None

    def _hungry(self, batch: Batch) -> Optional[WorkerProcess]:
        """Who is to have a batch: an idle worker, a new one while there are not enough, one that is nearly done."""
        for worker in self._workers:
            if not worker.batches:
                return worker
        if len(self._workers) < self._wanted:
            self._workers.append(WorkerProcess(self._setup))
            return self._workers[-1]
        for worker in self._workers:
            if len(worker.batches) < _QUEUED and not batch.large and not worker.batches[0].large:
                return worker
        return None

    def _widen(self) -> None:
        """With no batch left, lend the idle cores to the largest files that are still being read."""
        busy = [worker for worker in self._workers if worker.batches]
        idle = self._wanted - len(busy) - sum(worker.widened for worker in busy)
        large = [worker for worker in busy if worker.ready and worker.batches[0].large and not worker.widened]
        large.sort(key=lambda worker: worker.batches[0].files[0].size, reverse=True)
        for worker in large[: max(0, idle)]:
            worker.widen()

    def _poll(self) -> List[WorkerProcess]:
        """Move what can be moved through the pipes, wait when nothing can; the workers that have something to say."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker.source, selectors.EVENT_READ, worker)
                if worker.sending:
                    selector.register(worker.sink, selectors.EVENT_WRITE, worker)
            started = time.monotonic()
            ready = selector.select(_POLL)
            waited = time.monotonic() - started
        speaking = []
        for key, events in ready:
            if events & selectors.EVENT_WRITE:
                key.data.write()
            else:
                speaking.append(key.data)
        for worker in self._workers:  # only time spent waiting counts: a consumer may take as long as it likes
            worker.quiet = 0.0 if worker in speaking or not worker.batches else worker.quiet + min(waited, 2 * _POLL)
        return speaking

    def _hear(self, worker: WorkerProcess) -> Iterator[FileResult]:
        """The results that a worker tells."""
        messages = worker.read()
        if messages is None:
            yield from self._bury(worker)
            return
        for kind, *content in messages:
            if kind == frames.RESULTS:
                yield from self._answered(worker, content[0])
            elif kind == frames.PROGRESS:
                worker.partial = content[0]
            elif kind == frames.HELLO:
                worker.ready = True
                self._false_starts = 0
            else:
                raise HashPassError(content[0])
        self._count()

    def _answered(self, worker: WorkerProcess, answers: List[frames.Packed]) -> Iterator[FileResult]:
        """The results that a worker tells of its present batch."""
        worker.partial = 0
        waiting = worker.batches[0].waiting
        for packed in answers:
            found = waiting.pop(packed[0])
            self._finished += found.size
            yield frames.unpack(found, packed)
        if not waiting:
            worker.batches.popleft()
            worker.widened = False

    def _bury(self, worker: WorkerProcess) -> Iterator[FileResult]:
        """Give the work of a dead worker to others; a file over which three have died has failed."""
        code = worker.kill()
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                raise HashPassError(f"the workers do not start: the last one ended with {code}")
        yield from self._bereave(worker, DIED if worker.ready else "")

    def _give_up(self, worker: WorkerProcess) -> Iterator[FileResult]:
        """End a worker that makes no progress; what hangs when it is alone has failed."""
        worker.kill(patience=_POLL)
        if not worker.ready:
            raise HashPassError("the workers do not start: one hangs")
        yield from self._bereave(worker, "ETIMEDOUT")

    def _bereave(self, worker: WorkerProcess, error: str) -> Iterator[FileResult]:
        self._workers.remove(worker)
        if not worker.batches:
            return
        present, *queued = worker.batches
        self._again.extendleft(reversed(queued))
        if not error:
            self._again.appendleft(present)
            return
        attempts = present.attempts + (error == DIED)
        if attempts == _DEATHS or (error != DIED and len(present.files) == 1):
            for found in present.waiting.values():
                self._finished += found.size
                yield FailedFile(found.path, error, "read")
        else:
            self._again.extendleft(present.alone(attempts))
        self._count()

    def _count(self) -> None:
        self.bytes_done = self._finished + sum(worker.partial for worker in self._workers)
