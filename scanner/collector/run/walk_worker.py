"""Walk a tree in a process of its own: what hangs there can be killed, and another process goes on with the rest.

The parent gets everything in the order in which it happens: each directory that is begun, and what is in it. So it
knows at any moment which directories are still to be listed. Twice a second a thread sends what has happened and what
is being examined, even while the walk itself waits for an answer of the file system.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from enum import IntEnum
from typing import Any, BinaryIO, FrozenSet, Iterator, List, NamedTuple, NoReturn, Tuple, Union

from scanner.collector.entries import RESOURCE_ERRORS, WalkedEntry
from scanner.collector.run.walk import Directory, Walker, WalkScope
from scanner.collector.system.directories import RootError
from scanner.collector.system.messages import encode_message, take_messages

_MOST_STEPS = 512
"""Steps travel together, because a message costs more than a step in it."""
_REPORT_SECONDS = 0.5
_READ_BYTES = 1 << 20


class MessageType(IntEnum):
    """The first member of each message to the parent."""

    READY = 0
    STEPS = 1
    """Carries a list of steps: the path of a directory that is begun, a Directory, or a WalkedEntry, as tuples."""
    PLACE = 2
    """Carries how often something was examined, and the fields of a Place; when that is the same as before, also the
    names of its directory that come after it, and whether these are all."""
    END = 3
    """Carries whether a path may have come twice."""
    ROOT_ERROR = 4
    """Carries reason and detail of a RootError; the walk ends."""
    FAULT = 5
    """Carries the text of an error that is no path's; the walk ends."""


Step = Tuple[Any, ...]
"""The fields of a Directory or WalkedEntry, or the path of a directory alone."""


class WalkSetup(NamedTuple):
    """Everything that the process must know before it begins."""

    root: bytes
    scope: WalkScope
    given_up: FrozenSet[bytes]
    gone_devices: FrozenSet[int]
    is_first: bool
    """Whether the walk begins here. Otherwise the parent sends what is still to be done: the directories that are still
    to be listed, and fields for `resume_directory`, if there are any."""


class _Reporter:
    """The pipe to the parent, which two threads write to."""

    def __init__(self, sink: int) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._steps: List[Step] = []
        self._has_thread = False

    def send(self, message_type: MessageType, *content: Any) -> None:
        """Write one message, all of it, after the steps before it."""
        with self._lock:
            self._send_steps()
            self._write(message_type, *content)

    def _write(self, message_type: MessageType, *content: Any) -> None:
        data = memoryview(encode_message((message_type.value, *content)))
        while data:
            data = data[os.write(self._sink, data) :]

    def _send_steps(self) -> None:
        # The walk may append meanwhile: each of these three statements is atomic.
        steps = self._steps[:]
        if steps:
            self._write(MessageType.STEPS, steps)
            del self._steps[: len(steps)]

    def add_step(self, step: Step) -> None:
        """Send a step, soon, together with others."""
        self._steps.append(step)
        if len(self._steps) >= _MOST_STEPS or not self._has_thread:
            with self._lock:
                self._send_steps()

    def report_places(self, walker: Walker) -> None:
        """Tell the parent from now on, on a thread, what has happened and what is being examined."""
        try:
            threading.Thread(target=self._report_places, args=(walker,), daemon=True).start()
        except RuntimeError:
            # No thread can be started. Each step is then sent at once, and the parent gives up the whole directory in
            # which the walk hangs.
            return
        self._has_thread = True

    def _report_places(self, walker: Walker) -> None:
        place_before = walker.place
        while True:
            time.sleep(_REPORT_SECONDS)
            place = walker.place
            names: List[bytes] = []
            is_listed = False
            if place is place_before and place.stage == "stat":
                names = [os.fsencode(name.name) for name in walker.names[walker.examined :]]
                is_listed = walker.is_listed
            place_before = place
            try:
                self.send(MessageType.PLACE, walker.steps, tuple(place), names, is_listed)
            except BrokenPipeError:
                os._exit(1)


def main() -> NoReturn:
    """Walk until the end, or until the parent closes the pipe. Report what is no error of a path to the parent."""
    sink = os.dup(1)
    # What anything prints goes to standard error: it must not get between the messages.
    os.dup2(2, 1)
    reporter = _Reporter(sink)
    try:
        _work(sys.stdin.buffer, reporter)
    except BrokenPipeError:
        # The parent is gone.
        sys.exit(1)
    except RootError as error:
        reporter.send(MessageType.ROOT_ERROR, error.reason, error.detail)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - sent to the parent process, which raises it: the run fails with the traceback
        if isinstance(error, OSError) and error.errno in RESOURCE_ERRORS:
            reporter.send(MessageType.FAULT, f"the walk has no descriptor left: {os.strerror(error.errno)}")
        else:
            # Imported here and not above, so that the process starts sooner.
            import traceback

            reporter.send(MessageType.FAULT, f"the walk met a fault of the program:\n{traceback.format_exc()}")
        sys.exit(1)
    sys.exit(0)


def _work(source: BinaryIO, reporter: _Reporter) -> None:
    incoming = _receive(source)
    # Imported here and not above: the parent imports this module and does not need it.
    import pickle

    setup: WalkSetup = pickle.loads(next(incoming)[0])  # noqa: S301 - our own parent wrote it
    walker = Walker(setup.root, setup.scope, setup.given_up, setup.gone_devices)
    reporter.send(MessageType.READY)
    reporter.report_places(walker)

    directories: List[Directory] = []
    if setup.is_first:
        for entry in walker.report_unmounted():
            reporter.add_step(tuple(entry))
        _add(walker.first_directory(), directories, reporter)
    else:
        remaining, resumed = next(incoming)
        directories += [Directory._make(packed) for packed in remaining]
        if resumed:
            packed_directory, names, is_listed = resumed
            for item in walker.resume_directory(Directory._make(packed_directory), names, is_listed):
                _add(item, directories, reporter)

    while directories:
        directory = directories.pop()
        reporter.add_step((directory.path,))
        for item in walker.list_directory(directory):
            _add(item, directories, reporter)
    reporter.send(MessageType.END, walker.may_repeat)


def _add(item: Union[WalkedEntry, Directory], directories: List[Directory], reporter: _Reporter) -> None:
    if isinstance(item, Directory):
        directories.append(item)
    reporter.add_step(tuple(item))


def _receive(source: BinaryIO) -> Iterator[Tuple[Any, ...]]:
    buffer = bytearray()
    while True:
        data = os.read(source.fileno(), _READ_BYTES)
        if not data:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        buffer += data
        yield from take_messages(buffer)
