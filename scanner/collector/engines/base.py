"""What every engine is: something that computes the digests of the files of a batch."""

from __future__ import annotations

import abc
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

from scanner.collector.entries import FileResult, WalkedEntry

ALGORITHMS = ("sha256", "md5")
EMPTY = {
    "sha256": bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "md5": bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"),
}
"""The digests of nothing."""


class Root(NamedTuple):
    """The root of a replica, open for as long as its files are read."""

    path: bytes
    descriptor: int


class Digests(NamedTuple):
    """The digests of a file that is, to the nanosecond, what the walk saw."""

    sha256: bytes
    md5: bytes


Answer = Union[Digests, FileResult]
Tool = Dict[str, Union[str, int]]


class Meter(abc.ABC):
    """What an engine tells while it reads, and what it must ask before it reads."""

    no_progress: float
    """The seconds without progress after which a file is given up."""

    @abc.abstractmethod
    def begin(self) -> None:
        """A file is read from its start."""

    @abc.abstractmethod
    def reserve(self, count: int) -> None:
        """Wait until `count` more bytes may be read."""

    @abc.abstractmethod
    def advance(self, count: int) -> None:
        """`count` more bytes of the present file were read."""

    @abc.abstractmethod
    def check(self) -> None:
        """Called while nothing moves; raises SystemExit when nobody waits for the result any more."""

    @abc.abstractmethod
    def alive(self) -> None:
        """Called between steps: what is under way gets on, though no byte was counted."""

    @abc.abstractmethod
    def paced(self) -> bool:
        """Whether a rate limit holds."""

    @abc.abstractmethod
    def wide(self) -> bool:
        """Whether cores are idle, so that the present file may have a second thread."""


class Engine(abc.ABC):
    """One way to compute SHA-256 and MD5. Instances travel to worker processes by pickle."""

    name: str
    batch_bytes: int
    """A batch is closed once it holds this many bytes."""
    lone: int
    """A file of at least this many bytes is a batch of its own."""
    batch_files = 256

    @abc.abstractmethod
    def hash(self, root: Root, files: Sequence[WalkedEntry], meter: Meter) -> Iterator[Tuple[int, Answer]]:
        """The answer for each file, with its index in `files`; each exactly once, in any order."""

    @abc.abstractmethod
    def tools(self) -> List[Tool]:
        """What does the work, by algorithm, for the statement: text and integers only."""
