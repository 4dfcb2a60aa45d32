"""Run a worker process: take batches from standard input, answer on standard output, until the parent closes both."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import time
from types import FrameType
from typing import Any, BinaryIO, Iterator, List, NamedTuple, NoReturn, Optional, Tuple

from scanner.collector.engines.base import Engine, Meter, Root
from scanner.collector.engines.frames import (
    MessageType,
    PackedAnswer,
    PackedFile,
    pack_answer,
    unpack_files,
)
from scanner.collector.entries import RESOURCE_ERRORS
from scanner.collector.system.directories import RootError, open_root
from scanner.collector.system.messages import encode_message, take_messages
from scanner.collector.system.rate_limit import RateLimit

REPORT_SECONDS = 0.25
"""A parent hears from a worker that makes progress at least this often."""

_READ_BYTES = 1 << 20
_RESERVED_BYTES = 4 << 20
"""A rate limit is waited for in pieces, so that the parent hears from the worker in between."""
_BATCHES_PER_COLLECTION = 64


class WorkerSetup(NamedTuple):
    """Everything that a worker must know before its first batch."""

    root: bytes
    engine: Engine
    rate: Optional[float]
    """Bytes a second, for all workers together."""
    rate_descriptor: Optional[int]
    """Descriptor of the file of the shared limit."""
    no_progress: float
    """Seconds without progress after which a file is given up."""


class _Channel:
    """The two pipes to the parent."""

    def __init__(self, source: BinaryIO, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._buffer = bytearray()
        self.last_sent = time.monotonic()

    def receive(self) -> Iterator[Tuple[Any, ...]]:
        """Yield each message, until the parent closes the pipe."""
        while True:
            data = os.read(self._source.fileno(), _READ_BYTES)
            if not data:
                return
            self._buffer += data
            yield from take_messages(self._buffer)

    def send(self, message_type: MessageType, *content: Any) -> None:
        """Write one message, all of it."""
        data = memoryview(encode_message((message_type.value, *content)))
        while data:
            data = data[os.write(self._sink, data) :]
        self.last_sent = time.monotonic()

    def is_report_due(self) -> bool:
        """Return whether the parent should hear from this worker again."""
        return time.monotonic() - self.last_sent >= REPORT_SECONDS


class _WorkerMeter(Meter):
    """Tells the parent what was read, and obeys the rate limit."""

    def __init__(self, channel: _Channel, limit: Optional[RateLimit], no_progress: float) -> None:
        self.no_progress = no_progress
        self.second_thread_allowed = False
        self._channel = channel
        self._limit = limit
        self._bytes_of_file = 0
        self._parent = os.getppid()

    def start_file(self) -> None:
        self._bytes_of_file = 0

    def reserve(self, byte_count: int) -> None:
        while self._limit is not None and byte_count > 0:
            self._limit.wait(min(byte_count, _RESERVED_BYTES), self.keep_alive)
            byte_count -= _RESERVED_BYTES

    def advance(self, byte_count: int) -> None:
        self._bytes_of_file += byte_count
        self.keep_alive()

    def check_parent(self) -> None:
        # A process whose parent dies gets another one. Portable, unlike prctl(2)'s PR_SET_PDEATHSIG.
        if os.getppid() != self._parent:
            raise SystemExit(1)

    def is_rate_limited(self) -> bool:
        return self._limit is not None

    def may_use_second_thread(self) -> bool:
        return self.second_thread_allowed

    def keep_alive(self) -> None:
        if self._channel.is_report_due():
            self.check_parent()
            self._channel.send(MessageType.PROGRESS, self._bytes_of_file)


def main() -> NoReturn:
    """Work until the parent closes the pipe or is gone. Report a fault of the program itself to the parent."""
    sink = os.dup(1)
    # What anything prints goes to standard error: it must not get between the messages.
    os.dup2(2, 1)
    channel = _Channel(sys.stdin.buffer, sink)
    try:
        _work(channel)
    except BrokenPipeError:
        # The parent is gone.
        sys.exit(1)
    except RootError as error:
        channel.send(MessageType.FAULT, str(error))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - sent to the parent process, which raises it: the run fails with the traceback
        if isinstance(error, OSError) and error.errno in RESOURCE_ERRORS:
            channel.send(MessageType.FAULT, f"the workers have no descriptor left: {error.strerror}")
            sys.exit(1)

        # Imported here and not above, so that workers start sooner.
        import traceback

        channel.send(MessageType.FAULT, f"a worker met a fault of the program:\n{traceback.format_exc()}")
        sys.exit(1)
    sys.exit(0)


def _work(channel: _Channel) -> None:
    incoming = channel.receive()
    setup: WorkerSetup = pickle.loads(next(incoming)[0])  # noqa: S301 - our own parent wrote it
    limit = RateLimit(setup.rate, setup.rate_descriptor) if setup.rate is not None else None
    meter = _WorkerMeter(channel, limit, setup.no_progress)

    # A signal, because the worker does not read its pipe while it hashes a batch.
    def allow_second_thread(_signum: int, _stack: Optional[FrameType]) -> None:
        meter.second_thread_allowed = True

    signal.signal(signal.SIGUSR1, allow_second_thread)
    root = Root(setup.root, open_root(setup.root))
    channel.send(MessageType.READY)

    # Only tracebacks make reference cycles here. They are collected between batches.
    gc.disable()
    for number, (packed_files, second_thread_allowed) in enumerate(incoming, 1):
        meter.second_thread_allowed = second_thread_allowed
        _hash_batch(channel, setup.engine, root, packed_files, meter)
        if number % _BATCHES_PER_COLLECTION == 0:
            gc.collect()


def _hash_batch(
    channel: _Channel, engine: Engine, root: Root, packed_files: List[PackedFile], meter: _WorkerMeter
) -> None:
    answers: List[PackedAnswer] = []
    for index, answer in engine.hash_files(root, unpack_files(packed_files), meter):
        answers.append(pack_answer(index, answer))

        # Results travel together: a message costs more than the answers in it.
        if channel.is_report_due():
            meter.check_parent()
            channel.send(MessageType.RESULTS, answers)
            answers = []

    if answers:
        channel.send(MessageType.RESULTS, answers)
