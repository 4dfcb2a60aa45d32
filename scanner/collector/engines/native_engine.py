"""The `native` engine: run the platform's own tools, on many files in a call where that is safe, else on one file.

The batch lane takes files whose names come back byte for byte. After all tools have run, each file must be as the walk
saw it. Whatever is odd goes to the second lane: names, large files, a file without a record, a file that has changed.
There the collector opens the file itself, the tool reads its standard input, and the offset that both share proves how
far the tool has read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from scanner.collector.engines import checksum_tool
from scanner.collector.engines.base import (
    ALGORITHMS,
    EMPTY_DIGESTS,
    Answer,
    Digests,
    Engine,
    Meter,
    Root,
    ToolDescription,
)
from scanner.collector.engines.checksum_tool import DigestsByAlgorithm, UnexpectedOutputError, VerifiedTool
from scanner.collector.engines.hashlib_engine import read_whole_file
from scanner.collector.engines.reading import (
    OpenFile,
    Reading,
    UnstableFileError,
    is_as_walked,
    open_file,
    open_flags,
    read_carefully,
)
from scanner.collector.entries import WalkedEntry
from scanner.collector.system.page_cache import SMALL_FILE, PageCache

_SLOWEST_RATE = 1 << 20
"""A tool that reads fewer bytes a second than this is taken for hung."""
_START_SECONDS = 60.0
"""Time that a call gets besides what its bytes take."""
_WAIT_SECONDS = 0.25


class NativeEngine(Engine):
    """SHA-256 and MD5 by external tools."""

    name = "native"
    batch_bytes = 64 << 20
    large_file_bytes = 32 << 20

    def __init__(self, tools: Sequence[VerifiedTool]) -> None:
        """`tools` compute each algorithm exactly once, all together."""
        self._tools = list(tools)

    def hash_files(self, root: Root, files: Sequence[WalkedEntry], meter: Meter) -> Iterator[Tuple[int, Answer]]:
        """Yield the index and answer of each file; those that can share a call first."""
        batch_files = [
            _BatchFile(number, entry, os.path.join(root.path, entry.path)) for number, entry in enumerate(files)
        ]
        batch_files = [file for file in batch_files if self._may_share_call(file) and _is_unchanged(root, file.entry)]

        max_files = min(tool.command.profile.max_files for tool in self._tools)
        unanswered = set(range(len(files)))
        for call in checksum_tool.split_into_calls([file.path for file in batch_files], max_files):
            for index, digests in self._hash_batch(root, batch_files[call], meter):
                unanswered.discard(index)
                yield index, digests

        # Whatever a batch did not answer beyond doubt is read one by one.
        for index in sorted(unanswered):
            yield index, read_carefully(root, files[index], self._read_by_tools, meter)

    def describe_tools(self) -> List[ToolDescription]:
        """Return the tool of each algorithm."""
        return [
            _describe_tool(tool, algorithm)
            for algorithm in ALGORITHMS
            for tool in self._tools
            if algorithm in tool.command.algorithms
        ]

    def _may_share_call(self, file: _BatchFile) -> bool:
        return file.entry.size < self.large_file_bytes and all(tool.takes(file.path) for tool in self._tools)

    def _hash_batch(self, root: Root, files: List[_BatchFile], meter: Meter) -> Iterator[Tuple[int, Digests]]:
        """Yield the digests that one call of each tool gives, as far as they can be believed."""
        # All bytes are booked before the tools start: they cannot be slowed down on the way.
        size = sum(file.entry.size for file in files)
        meter.reserve(size)
        seconds = min(_START_SECONDS + size / _SLOWEST_RATE, meter.no_progress / 4)

        with contextlib.ExitStack() as stack:
            # Asked before the tools read: afterwards everything is in the cache.
            caches = [cache for file in files for cache in _open_cache(stack, root, file.entry)]
            digests = self._run_tools([file.path for file in files], seconds, meter)
            for cache in caches:
                cache.release_all()

        for number, entry, path in files:
            sha256 = digests["sha256"].get(path)
            md5 = digests["md5"].get(path)
            if sha256 and md5 and _is_plausible(entry, sha256, md5) and _is_unchanged(root, entry):
                yield number, Digests(sha256, md5)

    def _run_tools(self, paths: List[bytes], seconds: float, meter: Meter) -> DigestsByAlgorithm:
        """Return what the tools say, one after the other. A file without an answer is not given to the next tool."""
        digests: DigestsByAlgorithm = {}
        for tool in self._tools:
            answered = _run_tool(tool, paths, seconds, meter)
            paths = [path for path in paths if all(path in by_path for by_path in answered.values())]
            digests.update(answered)
            meter.keep_alive()
        return digests

    def _read_by_tools(self, file: OpenFile, meter: Meter) -> Reading:
        """Read one open file by all tools at once, so that a large one is read from the disk only once."""
        cache = PageCache(file.descriptor, file.size)
        with contextlib.ExitStack() as stack:
            try:
                tasks = [_start_task(stack, tool, file, first=number == 0) for number, tool in enumerate(self._tools)]
            except _NotStartedError:
                # Too few processes are allowed: that says nothing of the file.
                os.lseek(file.descriptor, 0, os.SEEK_SET)
                return read_whole_file(file, meter)
            outputs = _follow(tasks, meter, cache)
            count = min(task.offset() for task in tasks)

        # An error that stopped a tool stops this read, too, and has a name here.
        beyond = os.pread(file.descriptor, 1 << 16, count)
        if count < file.size:
            return Reading(b"", b"", count)
        if beyond:
            return Reading(b"", b"", count + len(beyond))

        digests: Dict[str, bytes] = {}
        for task, output in zip(tasks, outputs):
            command = task.tool.command
            digests.update(zip(command.algorithms, checksum_tool.parse_stdin_output(output, command) or []))
        if len(digests) < len(ALGORITHMS):
            # The tool's fault, not the file's: compute the digests here.
            os.lseek(file.descriptor, 0, os.SEEK_SET)
            return read_whole_file(file, meter)
        return Reading(digests["sha256"], digests["md5"], count)


class _NotStartedError(Exception):
    """The system starts no process for a tool."""


class _BatchFile(NamedTuple):
    number: int
    """Its index in the batch that the engine was given."""
    entry: WalkedEntry
    path: bytes
    """Absolute: no tool takes it for an option or for standard input."""


class _Task(NamedTuple):
    """A tool that is reading a file on its standard input."""

    tool: VerifiedTool
    process: subprocess.Popen[bytes]
    descriptor: int

    def offset(self) -> int:
        """Return how far the tool has read."""
        return os.lseek(self.descriptor, 0, os.SEEK_CUR)


def _describe_tool(tool: VerifiedTool, algorithm: str) -> ToolDescription:
    return {
        "algorithm": algorithm,
        "path": tool.command.path,
        "version": tool.version,
        "profile": tool.command.profile.id,
        "lanes": "batch, stdin" if tool.takes_many else "stdin",
        **tool.identity,
    }


def _run_tool(tool: VerifiedTool, paths: List[bytes], seconds: float, meter: Meter) -> DigestsByAlgorithm:
    """Return a tool's digests: none at all when it printed what nobody asked for, or did not start."""
    try:
        return checksum_tool.run_batch(tool.command, paths, seconds, meter.check_parent)
    except (UnexpectedOutputError, OSError):
        return {algorithm: {} for algorithm in tool.command.algorithms}


def _open_cache(stack: contextlib.ExitStack, root: Root, entry: WalkedEntry) -> Iterator[PageCache]:
    """Yield the page cache of a file, if it is large enough to relieve the cache of it. `stack` closes the file."""
    if entry.size <= SMALL_FILE:
        return

    try:
        descriptor = open_file(entry.path, root.descriptor, open_flags(entry.uid))
    except (OSError, UnstableFileError):
        return

    stack.callback(os.close, descriptor)
    yield PageCache(descriptor, entry.size)


def _is_plausible(entry: WalkedEntry, sha256: bytes, md5: bytes) -> bool:
    """Return whether the digests are those of nothing exactly when the file is empty.

    Some tools print the digest of nothing for what they cannot read.
    """
    is_empty = entry.size == 0
    return (sha256 == EMPTY_DIGESTS["sha256"]) is is_empty and (md5 == EMPTY_DIGESTS["md5"]) is is_empty


def _is_unchanged(root: Root, entry: WalkedEntry) -> bool:
    try:
        return is_as_walked(entry, os.lstat(entry.path, dir_fd=root.descriptor))
    except OSError:
        return False


def _start_task(stack: contextlib.ExitStack, tool: VerifiedTool, file: OpenFile, *, first: bool) -> _Task:
    """Start a tool, which ends with `stack`. Each tool has a descriptor with an offset of its own."""
    descriptor = file.descriptor
    if not first:
        descriptor = file.open_again()
        stack.callback(os.close, descriptor)
    try:
        process = checksum_tool.start_on_stdin(tool.command, descriptor)
    except OSError as error:
        raise _NotStartedError from error
    stack.callback(_kill_if_running, process)
    return _Task(tool, process, descriptor)


def _kill_if_running(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        checksum_tool.kill(process)


def _follow(tasks: List[_Task], meter: Meter, cache: PageCache) -> List[bytes]:
    """Return what each tool prints; report meanwhile how far they have read, and slow them down to the rate limit."""
    outputs: Dict[int, bytes] = {}
    done = 0
    while len(outputs) < len(tasks):
        for number, task in enumerate(tasks):
            if number in outputs:
                continue
            try:
                outputs[number] = task.process.communicate(timeout=_WAIT_SECONDS)[0]
            except subprocess.TimeoutExpired:
                meter.check_parent()

        # The slowest tool counts: what it has not read must stay in the cache.
        offset = min(task.offset() for task in tasks)
        if offset > done:
            _hold_back(tasks, offset - done, meter)
            meter.advance(offset - done)
            cache.release(offset)
            done = offset
    return [outputs[number] for number in range(len(tasks))]


def _hold_back(tasks: List[_Task], byte_count: int, meter: Meter) -> None:
    """Stop the tools until the bytes that they have read were due."""
    if not meter.is_rate_limited():
        return

    running = [task.process for task in tasks if task.process.returncode is None]
    for process in running:
        process.send_signal(signal.SIGSTOP)
    meter.reserve(byte_count)
    for process in running:
        process.send_signal(signal.SIGCONT)
