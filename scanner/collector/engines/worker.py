"""A worker process: takes batches from its standard input and answers on its standard output, until that is closed."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import time
from types import FrameType
from typing import Any, BinaryIO, Iterator, List, NamedTuple, NoReturn, Optional, Tuple

from scanner.collector.engines import frames
from scanner.collector.engines.base import Engine, Meter, Root
from scanner.collector.system.directories import RootError, open_root
from scanner.collector.system.page_cache import RateLimit

TELL_SECONDS = 0.25
"""A parent hears from a worker that gets on at least this often."""
_LIMIT_CHUNK = 4 << 20


class Setup(NamedTuple):
    """What a worker must know before its first batch."""

    root: bytes
    engine: Engine
    rate: Optional[float]
    """Bytes a second, for all workers together."""
    rate_descriptor: Optional[int]
    no_progress: float


class _Channel:
    """The two pipes to the parent."""

    def __init__(self, source: BinaryIO, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._buffer = bytearray()
        self.told = time.monotonic()

    def receive(self) -> Iterator[Tuple[Any, ...]]:
        """Each message, until the parent closes the pipe."""
        while True:
            data = os.read(self._source.fileno(), 1 << 20)
            if not data:
                return
            self._buffer += data
            yield from frames.messages(self._buffer)

    def send(self, *message: Any) -> None:
        """Write one message, whole."""
        data = memoryview(frames.frame(message))
        while data:
            data = data[os.write(self._sink, data) :]
        self.told = time.monotonic()


class _WorkerMeter(Meter):
    """Tells the parent what was read, and obeys the rate limit."""

    def __init__(self, channel: _Channel, limit: Optional[RateLimit], no_progress: float) -> None:
        self.no_progress = no_progress
        self.widened = False
        self._channel = channel
        self._limit = limit
        self._partial = 0
        self._parent = os.getppid()

    def begin(self) -> None:
        self._partial = 0

    def reserve(self, count: int) -> None:
        while self._limit is not None and count > 0:
            self._limit.wait(min(count, _LIMIT_CHUNK), self.alive)
            count -= _LIMIT_CHUNK

    def advance(self, count: int) -> None:
        self._partial += count
        self.alive()

    def check(self) -> None:
        if os.getppid() != self._parent:
            raise SystemExit(1)

    def paced(self) -> bool:
        return self._limit is not None

    def wide(self) -> bool:
        return self.widened

    def alive(self) -> None:
        if time.monotonic() - self._channel.told >= TELL_SECONDS:
            self.check()
            self._channel.send(frames.PROGRESS, self._partial)


def main() -> NoReturn:
    """Work until the parent closes the pipe or is gone; a fault of the program itself is told to the parent."""
    sink = os.dup(1)
    os.dup2(2, 1)  # what anything prints must not get between the frames
    channel = _Channel(sys.stdin.buffer, sink)
    try:
        _work(channel)
    except BrokenPipeError:
        sys.exit(1)  # the parent is gone
    except RootError as error:
        channel.send(frames.BROKEN, str(error))
        sys.exit(1)
    except Exception:  # noqa: BLE001 - the parent raises it: a fault of the program is not a fault of a file
        import traceback  # here, so that workers start sooner

        channel.send(frames.BROKEN, f"a worker met a fault of the program:\n{traceback.format_exc()}")
        sys.exit(1)
    sys.exit(0)


def _work(channel: _Channel) -> None:
    incoming = channel.receive()
    setup: Setup = pickle.loads(next(incoming)[0])  # noqa: S301 - our own parent wrote it
    limit = RateLimit(setup.rate, setup.rate_descriptor) if setup.rate is not None else None
    meter = _WorkerMeter(channel, limit, setup.no_progress)

    def widen(_signum: int, _stack: Optional[FrameType]) -> None:
        meter.widened = True

    signal.signal(signal.SIGUSR1, widen)
    root = Root(setup.root, open_root(setup.root))
    channel.send(frames.HELLO)
    gc.disable()  # nothing here makes cycles but a traceback; they are collected between batches
    for number, (packed, wide) in enumerate(incoming, 1):
        meter.widened = wide
        _batch(channel, setup.engine, root, packed, meter)
        if number % 64 == 0:
            gc.collect()


def _batch(channel: _Channel, engine: Engine, root: Root, packed: List[Tuple[Any, ...]], meter: _WorkerMeter) -> None:
    answers: List[frames.Packed] = []
    for index, answer in engine.hash(root, frames.unpack_files(packed), meter):
        answers.append(frames.pack(index, answer))
        if time.monotonic() - channel.told >= TELL_SECONDS:
            meter.check()
            channel.send(frames.RESULTS, answers)
            answers = []
    if answers:
        channel.send(frames.RESULTS, answers)
