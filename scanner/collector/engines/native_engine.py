"""The `native` engine: the platform's own tools, many files in a call where that is safe, else one on standard input.

The batch lane takes files whose names come back byte for byte. After both tools have run, each file must be what the
walk saw. Whatever is odd goes to the second lane: names, large files, a file without a record, a file that has changed.
There the collector opens the file itself, the tool reads its standard input, and the offset that both share proves how
far it was read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from scanner.collector.engines import checksum_tool as running
from scanner.collector.engines.base import ALGORITHMS, EMPTY, Answer, Digests, Engine, Meter, Root
from scanner.collector.engines.base import Tool as ToolStatement
from scanner.collector.engines.checksum_tool import Records, Stray, Tool
from scanner.collector.engines.hashlib_engine import read_whole
from scanner.collector.engines.reading import (
    Opened,
    Reading,
    Unsteady,
    as_walked,
    open_file,
    open_flags,
    read_carefully,
)
from scanner.collector.entries import WalkedEntry
from scanner.collector.system.page_cache import CARE, PageCache

_SLOWEST = 1 << 20
"""A tool that reads fewer bytes a second than this is taken for hung."""
_GRACE = 60.0
_BEAT = 0.25


class NativeEngine(Engine):
    """SHA-256 and MD5 by external tools, of which one may give both."""

    name = "native"
    batch_bytes = 64 << 20
    lone = 32 << 20

    def __init__(self, tools: Sequence[Tool]) -> None:
        """`tools` give each algorithm exactly once, all together."""
        self._tools = list(tools)

    def hash(self, root: Root, files: Sequence[WalkedEntry], meter: Meter) -> Iterator[Tuple[int, Answer]]:
        """The answer for each file; those that can share a call first."""
        operands = [_Operand(index, found, os.path.join(root.path, found.path)) for index, found in enumerate(files)]
        clean = [operand for operand in operands if self._shares(operand) and _stands(root, operand.found)]
        most = min(tool.profile.max_files for tool in self._tools)
        left = set(range(len(files)))
        for part in running.groups([operand.path for operand in clean], most):
            for index, digests in self._batch(root, clean[part], meter):
                left.discard(index)
                yield index, digests
        for index in sorted(left):
            yield index, read_carefully(root, files[index], self._read, meter)

    def tools(self) -> List[ToolStatement]:
        """The tool for each algorithm."""
        return [
            {
                "algorithm": algorithm,
                "path": tool.path,
                "version": tool.version,
                "profile": tool.profile.id,
                "lanes": "batch, stdin" if tool.batch else "stdin",
                **tool.identity,
            }
            for algorithm in ALGORITHMS
            for tool in self._tools
            if algorithm in tool.profile.algorithms
        ]

    def _shares(self, operand: _Operand) -> bool:
        return operand.found.size < self.lone and all(tool.clean(operand.path) for tool in self._tools)

    def _batch(self, root: Root, operands: List[_Operand], meter: Meter) -> Iterator[Tuple[int, Digests]]:
        """The digests that one call of each tool gives, as far as they can be believed."""
        size = sum(operand.found.size for operand in operands)
        meter.reserve(size)
        seconds = min(_GRACE + size / _SLOWEST, meter.no_progress / 4)
        records: Records = {}
        with contextlib.ExitStack() as stack:
            caches = [cache for operand in operands for cache in _cache(stack, root, operand.found)]
            asked = [operand.path for operand in operands]
            for tool in self._tools:
                answered = _ask(tool, asked, seconds, meter)
                asked = [path for path in asked if all(path in digests for digests in answered.values())]
                records.update(answered)
                meter.alive()
            for cache in caches:
                cache.release_all()
        for number, found, path in operands:
            sha256, md5 = (records[algorithm].get(path) for algorithm in ALGORITHMS)
            if sha256 and md5 and _plausible(found, sha256, md5) and _stands(root, found):
                yield number, Digests(sha256, md5)

    def _read(self, opened: Opened, meter: Meter) -> Reading:
        """The digests of one open file, all tools at once, so that a large one is read from the disk but once."""
        cache = PageCache(opened.descriptor, opened.size)
        with contextlib.ExitStack() as stack:
            tasks = [_start(stack, tool, opened, first=not number) for number, tool in enumerate(self._tools)]
            outputs = _follow(tasks, meter, cache)
            count = min(task.offset() for task in tasks)
        beyond = os.pread(opened.descriptor, 1 << 16, count)  # what stopped a tool stops this read, and has a name
        if count < opened.size or beyond:
            return Reading(b"", b"", count if count < opened.size else count + len(beyond))
        digests: Dict[str, bytes] = {}
        for task, output in zip(tasks, outputs):
            digests.update(zip(task.tool.profile.algorithms, running.parse_stdin(output, task.tool.profile) or []))
        if len(digests) < len(ALGORITHMS):  # a fault of the tool's, not of the file's
            os.lseek(opened.descriptor, 0, os.SEEK_SET)
            return read_whole(opened, meter)
        return Reading(digests["sha256"], digests["md5"], count)


class _Operand(NamedTuple):
    number: int
    found: WalkedEntry
    path: bytes
    """Absolute: no tool takes it for an option or for standard input."""


class _Task(NamedTuple):
    tool: Tool
    process: subprocess.Popen[bytes]
    descriptor: int

    def offset(self) -> int:
        """How far the tool has read."""
        return os.lseek(self.descriptor, 0, os.SEEK_CUR)


def _ask(tool: Tool, paths: List[bytes], seconds: float, meter: Meter) -> Records:
    """A tool's records; none at all when it printed what was not asked, or could not be started."""
    try:
        return running.run_batch(tool.path, tool.profile, paths, seconds, meter.check)
    except (Stray, OSError):
        return {algorithm: {} for algorithm in tool.profile.algorithms}


def _cache(stack: contextlib.ExitStack, root: Root, found: WalkedEntry) -> Iterator[PageCache]:
    """The page cache of a file, if it is one that the cache must be relieved of; open as long as `stack`."""
    if found.size <= CARE:
        return
    try:
        descriptor = open_file(found.path, root.descriptor, open_flags(found.uid))
    except (OSError, Unsteady):
        return
    stack.callback(os.close, descriptor)
    yield PageCache(descriptor, found.size)


def _plausible(found: WalkedEntry, sha256: bytes, md5: bytes) -> bool:
    """Whether the digests of nothing are those of an empty file: some tools give them for what they cannot read."""
    empty = found.size == 0
    return (sha256 == EMPTY["sha256"]) is empty and (md5 == EMPTY["md5"]) is empty


def _stands(root: Root, found: WalkedEntry) -> bool:
    try:
        return as_walked(found, os.lstat(found.path, dir_fd=root.descriptor))
    except OSError:
        return False


def _start(stack: contextlib.ExitStack, tool: Tool, opened: Opened, *, first: bool) -> _Task:
    """A tool at work, which ends with `stack`; each has an offset of its own."""
    descriptor = opened.descriptor
    if not first:
        descriptor = opened.again()
        stack.callback(os.close, descriptor)
    process = running.start_stdin(tool.path, tool.profile, descriptor)
    stack.callback(_end, process)
    return _Task(tool, process, descriptor)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        running.end(process)


def _follow(tasks: List[_Task], meter: Meter, cache: PageCache) -> List[bytes]:
    """What the tools print, while their way through the file is told, and slowed down to the rate limit."""
    outputs: Dict[int, bytes] = {}
    done = 0
    while len(outputs) < len(tasks):
        for number, task in enumerate(tasks):
            if number in outputs:
                continue
            try:
                outputs[number] = task.process.communicate(timeout=_BEAT)[0]
            except subprocess.TimeoutExpired:
                meter.check()
        offset = min(task.offset() for task in tasks)
        if offset > done:
            _pace(tasks, offset - done, meter)
            meter.advance(offset - done)
            cache.release(offset)
            done = offset
    return [outputs[number] for number in range(len(tasks))]


def _pace(tasks: List[_Task], count: int, meter: Meter) -> None:
    """Stop the tools until the bytes that they have read were due."""
    if not meter.paced():
        return
    running_now = [task.process for task in tasks if task.process.returncode is None]
    for process in running_now:
        process.send_signal(signal.SIGSTOP)
    meter.reserve(count)
    for process in running_now:
        process.send_signal(signal.SIGCONT)
