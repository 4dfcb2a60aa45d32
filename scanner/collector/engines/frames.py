"""Turn files and answers into the plain tuples in which a worker process and its parent exchange them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, List, Tuple

from scanner.collector.engines.base import Answer, Digests
from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry

PackedFile = Tuple[Any, ...]
"""The fields of a WalkedEntry."""
PackedAnswer = Tuple[Any, ...]
"""The index of a file in its batch, an _AnswerType, and what the parent does not know yet."""


class MessageType(IntEnum):
    """The first member of each message from a worker."""

    READY = 0
    RESULTS = 1
    """Carries a list of packed answers of the present batch."""
    PROGRESS = 2
    """Carries how many bytes of the present file have been read."""
    FAULT = 3
    """Carries the text of an error of the program; the worker ends."""


# Plain integers: one goes through the pipe for each file.
_AS_WALKED = 0
_HASHED = 1
_FAILED = 2
_VANISHED = 3


def pack_files(files: List[WalkedEntry]) -> List[PackedFile]:
    """Return files as plain tuples."""
    return [tuple(entry) for entry in files]


def unpack_files(packed_files: List[PackedFile]) -> List[WalkedEntry]:
    """Return the files of plain tuples."""
    return [WalkedEntry._make(packed) for packed in packed_files]


def pack_answer(index: int, answer: Answer) -> PackedAnswer:
    """Return an answer as a plain tuple, without what the parent knows already."""
    if type(answer) is Digests:
        return (index, _AS_WALKED, answer.sha256, answer.md5)
    if type(answer) is HashedFile:
        return (index, _HASHED, *answer[1:])
    if type(answer) is FailedFile:
        return (index, _FAILED, answer.error, answer.stage)
    return (index, _VANISHED)


def unpack_answer(entry: WalkedEntry, packed: PackedAnswer) -> FileResult:
    """Return the result that a packed answer means for a file."""
    answer_type = packed[1]
    if answer_type == _AS_WALKED:
        # size … ino stand in the same order in both classes.
        return HashedFile._make((entry[0], packed[2], packed[3], *entry[2:10]))
    if answer_type == _HASHED:
        return HashedFile(entry.path, *packed[2:])
    if answer_type == _FAILED:
        return FailedFile(entry.path, packed[2], packed[3])
    return VanishedFile(entry.path)
