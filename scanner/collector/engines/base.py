"""Define what every engine is: something that computes the digests of the files of a batch."""

from __future__ import annotations

import abc
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

from scanner.collector.entries import FileResult, WalkedEntry

ALGORITHMS = ("sha256", "md5")

EMPTY_DIGESTS = {
    "sha256": bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "md5": bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"),
}
"""The digests of nothing."""


class Root(NamedTuple):
    """The root of a replica, open for as long as its files are read."""

    path: bytes
    descriptor: int


class Digests(NamedTuple):
    """The digests of a file that is, to the nanosecond, as the walk saw it."""

    sha256: bytes
    md5: bytes


Answer = Union[Digests, FileResult]
"""What an engine says of a file. Digests alone are enough for a file that has not changed since the walk."""

ToolDescription = Dict[str, Union[str, int]]
"""What computes an algorithm's digest, for the statement."""


class Meter(abc.ABC):
    """Counts what an engine reads, and slows it down to the rate limit."""

    no_progress: float
    """Seconds without progress after which a file is given up."""

    @abc.abstractmethod
    def start_file(self) -> None:
        """Note that a file is read from its start."""

    @abc.abstractmethod
    def reserve(self, byte_count: int) -> None:
        """Wait until so many more bytes may be read."""

    @abc.abstractmethod
    def advance(self, byte_count: int) -> None:
        """Note that so many more bytes of the present file were read."""

    @abc.abstractmethod
    def check_parent(self) -> None:
        """Raise SystemExit when nobody waits for the result any more. To be called while nothing moves."""

    @abc.abstractmethod
    def keep_alive(self) -> None:
        """Report progress between two steps, although no byte was counted."""

    @abc.abstractmethod
    def is_rate_limited(self) -> bool:
        """Return whether a rate limit holds."""

    @abc.abstractmethod
    def may_use_second_thread(self) -> bool:
        """Return whether cores are idle, so that the present file may have a second thread."""


class Engine(abc.ABC):
    """One way to compute SHA-256 and MD5. Instances travel to worker processes by pickle."""

    name: str
    batch_bytes: int
    """A batch is closed once its files have this many bytes."""
    large_file_bytes: int
    """A file of at least this many bytes is a batch of its own."""
    batch_files = 256
    """A batch is closed once it has this many files."""

    @abc.abstractmethod
    def hash_files(self, root: Root, files: Sequence[WalkedEntry], meter: Meter) -> Iterator[Tuple[int, Answer]]:
        """Yield the index and answer of each file, each exactly once, in any order."""

    @abc.abstractmethod
    def describe_tools(self) -> List[ToolDescription]:
        """Return what does the work, by algorithm, for the statement: text and integers only."""
