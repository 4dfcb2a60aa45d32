"""What a worker process and its parent say to one another: frames of marshal, a length before each.

Both ends are one program of one Python version, and the pipe has no other writer; marshal is the quickest coding there
is for plain tuples, bytes and integers.
"""

from __future__ import annotations

import marshal
import struct
from typing import Any, Iterator, List, Tuple

from scanner.collector.engines.base import Answer, Digests
from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry

HELLO, RESULTS, PROGRESS, BROKEN = range(4)
"""What a worker says: it is ready; (index, answer)s of its batch; the bytes of its present file; a traceback."""

_LENGTH = struct.Struct("=I")
_AS_WALKED, _HASHED, _FAILED, _VANISHED = range(4)
Packed = Tuple[Any, ...]


def frame(message: Tuple[Any, ...]) -> bytes:
    """A message as it goes through the pipe."""
    payload = marshal.dumps(message)
    return _LENGTH.pack(len(payload)) + payload


def messages(buffer: bytearray) -> Iterator[Tuple[Any, ...]]:
    """The whole messages at the start of `buffer`, which are taken out of it."""
    start = 0
    while len(buffer) - start >= _LENGTH.size:
        end = start + _LENGTH.size + _LENGTH.unpack_from(buffer, start)[0]
        if len(buffer) < end:
            break
        message: Tuple[Any, ...] = marshal.loads(buffer[start + _LENGTH.size : end])  # noqa: S302 - our own worker wrote it
        start = end
        yield message
    del buffer[:start]


def pack_files(files: List[WalkedEntry]) -> List[Tuple[Any, ...]]:
    """Files as plain tuples."""
    return [tuple(found) for found in files]


def unpack_files(packed: List[Tuple[Any, ...]]) -> List[WalkedEntry]:
    """The files of plain tuples."""
    return [WalkedEntry._make(fields) for fields in packed]


def pack(index: int, answer: Answer) -> Packed:
    """An answer as a plain tuple, without what the parent knows already."""
    if type(answer) is Digests:
        return (index, _AS_WALKED, answer.sha256, answer.md5)
    if type(answer) is HashedFile:
        return (index, _HASHED, *answer[1:])
    if type(answer) is FailedFile:
        return (index, _FAILED, answer.error, answer.stage)
    return (index, _VANISHED)


def unpack(found: WalkedEntry, packed: Packed) -> FileResult:
    """The result that a packed answer says of a file."""
    kind = packed[1]
    if kind == _AS_WALKED:
        return HashedFile._make((found[0], packed[2], packed[3], *found[2:10]))  # size … ino stand in the same order
    if kind == _HASHED:
        return HashedFile(found.path, *packed[2:])
    if kind == _FAILED:
        return FailedFile(found.path, packed[2], packed[3])
    return VanishedFile(found.path)
