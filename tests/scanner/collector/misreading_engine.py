"""Provide an engine that misreads, as memory, a cable or a controller can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from scanner.collector.engines.base import Answer, Digests, Meter, Root, ToolDescription
from scanner.collector.engines.hashlib_engine import HashlibEngine
from scanner.collector.entries import HashedFile, WalkedEntry


class MisreadingEngine(HashlibEngine):
    """Engine that returns a wrong digest for marked files.

    A mark is a file of the same name in the directory of marks. It holds how often the file is still misread.
    """

    def __init__(self, marks: Path, name: str) -> None:
        super().__init__()
        self._marks = marks
        self.name = name

    def hash_files(self, root: Root, files: Sequence[WalkedEntry], meter: Meter) -> Iterator[tuple[int, Answer]]:
        for index, answer in super().hash_files(root, files, meter):
            mark = self._marks / files[index].path.decode()
            if not mark.exists() or not isinstance(answer, (Digests, HashedFile)):
                yield index, answer
                continue

            times_left = int(mark.read_text())
            if times_left > 1:
                mark.write_text(str(times_left - 1))
            else:
                mark.unlink()
            wrong_digest = bytes([answer.sha256[0] ^ times_left, *answer.sha256[1:]])
            yield index, answer._replace(sha256=wrong_digest)

    def describe_tools(self) -> list[ToolDescription]:
        return []
