"""An engine that misreads, as memory, a cable or a controller can: the digest of a marked file comes out wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from scanner.collector.engines.base import Answer, Digests, Meter, Root, Tool
from scanner.collector.engines.inprocess import HashlibEngine
from scanner.collector.entries import HashedFile, WalkedEntry


class Misreading(HashlibEngine):
    """Hashes rightly but for the files whose names stand in a folder of marks, each as often as its mark says."""

    def __init__(self, marks: Path, name: str) -> None:
        super().__init__()
        self._marks, self.name = marks, name

    def hash(self, root: Root, files: Sequence[WalkedEntry], meter: Meter) -> Iterator[tuple[int, Answer]]:
        for index, answer in super().hash(root, files, meter):
            mark = self._marks / files[index].path.decode()
            if mark.exists() and isinstance(answer, (Digests, HashedFile)):
                times = int(mark.read_text())
                mark.write_text(str(times - 1)) if times > 1 else mark.unlink()
                wrong = bytes([answer.sha256[0] ^ times, *answer.sha256[1:]])
                yield index, answer._replace(sha256=wrong)
            else:
                yield index, answer

    def tools(self) -> list[Tool]:
        return []
