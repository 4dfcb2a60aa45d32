"""Walk a tree by a process that can be replaced: what gives no answer becomes an error, and the walk goes on."""

from __future__ import annotations

import errno
import os
import selectors
import time
from typing import Dict, Iterator, List, Optional, Set, Tuple

from scanner.collector.entries import WalkedEntry
from scanner.collector.run.walk import Directory, Place, WalkScope, hung_entry
from scanner.collector.run.walk_worker import MessageType, Step, WalkSetup
from scanner.collector.system.child_process import ChildProcess
from scanner.collector.system.directories import RootError

_MOST_HANGS = 8
"""After so many hangs without an answer in between, a device is taken for gone, with all that is still to be listed."""
_MOST_DEATHS = 3
_POLL_SECONDS = 0.5
_END_SECONDS = 5.0


class WalkError(Exception):
    """The walk cannot go on: a fault of the program or of the machine, not of a path."""


class WalkProcess:
    """Walk of one tree. It knows what is still to be listed, so that a new process can go on where one hung."""

    def __init__(self, root: bytes, scope: WalkScope, no_progress: float) -> None:
        """`no_progress` are the seconds after which a path is given up."""
        self.may_repeat = False
        """Whether a path may have been yielded twice. Known at the end."""
        self._root = root
        self._scope = scope
        self._no_progress = no_progress
        self._child: Optional[ChildProcess] = None
        self._directories: List[Directory] = []
        """Directories that are still to be listed, the next one last."""
        self._present: Optional[Directory] = None
        """The directory that is being listed."""
        self._directories_inside: List[Directory] = []
        """Directories in it. They count when its listing is complete."""
        self._given_up: Set[bytes] = set()
        self._place: Optional[Place] = None
        self._steps = 0
        """What the present process has examined so far, as it said last."""
        self._names_left: List[bytes] = []
        """Names of the present directory after the place."""
        self._is_listed = False
        """Whether it has no others."""
        self._resumed: Optional[Tuple[Step, List[bytes], bool]] = None
        """The directory that the next process begins with, its names, and whether these are all."""
        self._has_begun = False
        self._deaths = 0
        self._gone_devices: Set[int] = set()
        self._hangs: Dict[int, int] = {}
        """By device."""

    def entries(self) -> Iterator[WalkedEntry]:
        """Yield what `walk` yields, and an ERROR for each path that gives no answer.

        Raises RootError when that is the root itself, and WalkError.
        """
        try:
            self._start()
            while self._child is not None:
                child = self._child
                yield from self._poll(child)
                if child is self._child and child.silent_seconds > self._no_progress:
                    yield from self._on_hang(child)
        finally:
            self.close()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill(_END_SECONDS)
            self._child = None

    def _start(self) -> None:
        setup = WalkSetup(
            self._root,
            self._scope,
            frozenset(self._given_up),
            frozenset(self._gone_devices),
            is_first=not self._has_begun,
        )
        try:
            self._child = ChildProcess("scanner.collector.run.walk_worker", setup)
        except OSError as error:
            raise WalkError(f"no process can be started for the walk: {error.strerror or error}") from error
        if self._has_begun:
            self._child.queue_message([tuple(directory) for directory in self._directories], self._resumed)
        self._place = None
        self._steps = 0
        self._names_left = []
        self._is_listed = False

    def _poll(self, child: ChildProcess) -> Iterator[WalkedEntry]:
        """Wait a moment for messages, and yield the entries in them."""
        with _selector() as selector:
            selector.register(child.source, selectors.EVENT_READ)
            if child.has_output:
                selector.register(child.sink, selectors.EVENT_WRITE)
            wait_start = time.monotonic()
            ready_pipes = selector.select(_POLL_SECONDS)
            # A machine that was suspended meanwhile counts as one poll.
            child.silent_seconds += min(time.monotonic() - wait_start, 2 * _POLL_SECONDS)

        for key, events in ready_pipes:
            if events & selectors.EVENT_WRITE:
                child.write_output()
            elif key.fd == child.source:
                yield from self._read(child)

    def _read(self, child: ChildProcess) -> Iterator[WalkedEntry]:
        messages = child.read_messages()
        if messages is None:
            self._on_death(child)
            return

        for kind, *content in messages:
            if kind == MessageType.STEPS:
                self._has_begun = True
                child.silent_seconds = 0.0
                yield from self._replay(content[0])
            elif kind == MessageType.PLACE:
                steps, fields, self._names_left, self._is_listed = content
                place = Place(*fields)
                # Only another place is progress: the thread that says so lives as long as the process.
                if (steps, place) != (self._steps, self._place):
                    child.silent_seconds = 0.0
                self._steps = steps
                self._place = place
            elif kind == MessageType.READY:
                child.silent_seconds = 0.0
            elif kind == MessageType.END:
                self.may_repeat = self.may_repeat or content[0]
                child.finish(_END_SECONDS)
                self._child = None
                return
            elif kind == MessageType.ROOT_ERROR:
                raise RootError(self._root, *content)
            else:
                raise WalkError(content[0])

    def _replay(self, steps: List[Step]) -> Iterator[WalkedEntry]:
        """Yield the entries among the steps, and do with the directories what the process did."""
        for step in steps:
            if len(step) == len(WalkedEntry._fields):
                yield WalkedEntry._make(step)
            elif len(step) == len(Directory._fields):
                self._directories_inside.append(Directory._make(step))
            else:
                self._begin_next()

    def _begin_next(self) -> None:
        """Note that the listing of the present directory is complete, and that of the next one has begun."""
        self._directories += self._directories_inside
        self._directories_inside = []
        self._present = self._directories.pop()

    def _on_death(self, child: ChildProcess) -> None:
        """Go on with a new process. Raises WalkError when one process after the other dies."""
        exit_status = child.kill()
        self._deaths += 1
        if self._deaths >= _MOST_DEATHS:
            raise WalkError(f"the walk does not go on: its process ended with {exit_status}")
        self._names_left = []
        self._is_listed = False
        self._restart()

    def _on_hang(self, child: ChildProcess) -> Iterator[WalkedEntry]:
        """Give up what hangs, and go on with a new process. Raises RootError when that is the root."""
        child.kill(_POLL_SECONDS)
        if self._present is None:
            raise self._root_hangs()

        # Without a thread that tells the place, the whole directory is to blame.
        place = self._place or Place(self._present.path, "list", self._present.dev)
        if not place.path:
            raise self._root_hangs()
        yield hung_entry(place.path, place.stage)
        self._given_up.add(place.path)
        if self._count_hangs(place) >= _MOST_HANGS:
            self._gone_devices.add(place.dev)
        self._restart()

    def _count_hangs(self, place: Place) -> int:
        """Return how often the device of a place has hung without an answer in between."""
        # The steps include what hangs itself.
        has_answered = self._steps > (1 if place.stage == "stat" else 0)
        if has_answered:
            self._hangs[place.dev] = 0
        self._hangs[place.dev] = self._hangs.get(place.dev, 0) + 1
        return self._hangs[place.dev]

    def _restart(self) -> None:
        """Start a process that goes on with the present directory, and then lists all that are left."""
        self._directories += self._directories_inside
        self._directories_inside = []
        present = self._present
        self._resumed = None
        if present is not None and present.path not in self._given_up:
            # Opening it may hang as well: then a place tells it, and it is given up.
            self._resumed = (tuple(present), self._names_left, self._is_listed)
            self.may_repeat = True
        self._start()

    def _root_hangs(self) -> RootError:
        return RootError(self._root, "root unreadable", os.strerror(errno.ETIMEDOUT))


def _selector() -> selectors.BaseSelector:
    try:
        return selectors.DefaultSelector()
    except OSError as error:
        raise WalkError(f"no descriptor left: {error.strerror or error}") from error
