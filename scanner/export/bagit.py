"""The tag files of a bag (RFC 8493) whose payload directory, `data`, is the root of the run, as one tar."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator

from scanner.collector.version import VERSION
from scanner.export.entries import files, pieces
from scanner.export.omissions import LeftOut, Why
from scanner.format import paths
from scanner.format.records import Entry
from scanner.models import Run

ALGORITHMS = ("sha256", "md5")
_HEAD = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class _File:
    """What must be known of a tag file before it is written: its size and its digests."""

    def __init__(self) -> None:
        self.size, self._digests = 0, {name: hashlib.new(name, usedforsecurity=False) for name in ALGORITHMS}

    def add(self, data: bytes) -> None:
        self.size += len(data)
        for digest in self._digests.values():
            digest.update(data)

    def digest(self, algorithm: str) -> str:
        return self._digests[algorithm].hexdigest()


class _Manifests:
    """The manifests of a run, taken in once before anything is written: sizes stand before contents in a tar."""

    def __init__(self, run: Run, left_out: LeftOut) -> None:
        self.files = {algorithm: _File() for algorithm in ALGORITHMS}
        self.count, self.bytes = 0, 0
        for row in _sayable(run, left_out):
            self.count, self.bytes = self.count + 1, self.bytes + (row.size or 0)
            for algorithm, file in self.files.items():
                file.add(_line(row, algorithm))


def bagit(run: Run, _prefix: bytes, left_out: LeftOut) -> Iterator[bytes]:
    """The tar, in pieces and flat memory; the rows are read once for the sizes and once for each manifest.

    A name that is not UTF-8 cannot be said: it is left out, and bag-info.txt tells of it.
    """
    manifests = _Manifests(run, left_out)
    small = {"bagit.txt": _HEAD.encode(), "bag-info.txt": _info(run, manifests, left_out).encode()}
    known = {f"manifest-{algorithm}.txt": file for algorithm, file in manifests.files.items()}
    for name, data in small.items():
        known[name] = _File()
        known[name].add(data)
    for algorithm in ALGORITHMS:
        lines = [f"{file.digest(algorithm)}  {name}\n" for name, file in sorted(known.items())]
        small[f"tagmanifest-{algorithm}.txt"] = "".join(lines).encode()
    for name, data in small.items():
        yield from _member(run, name, len(data), [data])
    for algorithm, file in manifests.files.items():
        content = pieces(_line(row, algorithm) for row in _sayable(run, LeftOut()))
        yield from _member(run, f"manifest-{algorithm}.txt", file.size, content)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _sayable(run: Run, left_out: LeftOut) -> Iterator[Entry]:
    for row in files(run, left_out):
        if _is_text(row.path):
            yield row
        else:
            left_out.add(Why.NAME, row.path)


def _is_text(path: str) -> bool:
    r"""Whether the name is UTF-8: in its coded form only other bytes stand as `\x`, a backslash as two."""
    return "\\x" not in path or "\\x" not in path.replace("\\\\", "")


def _line(row: Entry, algorithm: str) -> bytes:
    """A line of a manifest. `%`, CR and LF are percent-encoded, and nothing else is (RFC 8493, 2.1.3)."""
    digest = row.sha256 if algorithm == "sha256" else row.md5
    assert digest is not None
    name = paths.decode(row.path).replace(b"%", b"%25").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
    return digest.hex().encode() + b"  data/" + name + b"\n"


def _info(run: Run, manifests: _Manifests, left_out: LeftOut) -> str:
    lines = [
        f"Bag-Software-Agent: backup_syncer {VERSION}",
        f"Bagging-Date: {run.finished_at:%Y-%m-%d}",
        f"External-Identifier: urn:uuid:{run.uuid}",
        f"External-Description: Run {run.sequence} of replica {run.replica.uuid}. "
        "The payload, data, is the root directory of the replica and is not in this archive.",
    ]
    if run.envelope is not None:  # an unsigned import knows no sizes
        lines.append(f"Payload-Oxum: {manifests.bytes}.{manifests.count}")
    lines += [f"Left-Out: {line.removeprefix('left out, ')}" for line in left_out.lines()]
    return "\n".join([*lines, ""])


def _member(run: Run, name: str, size: int, content: Iterable[bytes]) -> Iterator[bytes]:
    info = tarfile.TarInfo(f"{run.replica.uuid}-{run.sequence}/{name}")
    info.size, info.mode, info.mtime = size, 0o644, int(run.finished_at.timestamp())
    yield info.tobuf(tarfile.PAX_FORMAT)
    yield from content
    yield bytes(-size % tarfile.BLOCKSIZE)
