"""Choose the engine: what was requested, which tools pass their self-test, and what is faster on this machine."""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Union

from scanner.collector.engines.base import ALGORITHMS, Engine, Meter, Root, ToolDescription
from scanner.collector.engines.checksum_tool import VerifiedTool, run_batch
from scanner.collector.engines.hashlib_engine import HashlibEngine
from scanner.collector.engines.native_engine import NativeEngine
from scanner.collector.engines.profiles import ToolCatalogue, ToolCommand, catalogue, find_platform
from scanner.collector.engines.self_test import ToolRefusedError, verify_tool
from scanner.collector.entries import WalkedEntry
from scanner.format.entry_type import EntryType
from scanner.format.values import LONGEST_TEXT

ENGINE_NAMES = ("auto", "native", "hashlib")

EngineDescription = Dict[str, Union[str, List[ToolDescription]]]

MIB = 1 << 20
_LARGE_TRIAL_FILE = MIB
_SMALL_TRIAL_FILE = 2 << 10
_TRIAL_SIZES = (_LARGE_TRIAL_FILE,) * 8 + (_SMALL_TRIAL_FILE,) * 64
"""Bytes of each file of a trial. Most trees have many small files, which cost an engine more than their bytes."""
_TRIALS = 2
"""The best of so many counts."""
_TRIAL_SECONDS = 30.0
_MUCH_FASTER = 1.5
"""By this factor a faster tool has to beat the platform's own one."""


class EngineChoice(NamedTuple):
    """An engine, and why it was chosen."""

    engine: Engine
    requested: str
    """One of ENGINE_NAMES."""
    reason: str

    def describe(self) -> EngineDescription:
        """Return the choice for the statement: text, integers and lists of them."""
        return {
            "name": self.engine.name,
            "wanted": self.requested,
            # Complaints of tools may be long, and a statement with a longer text is refused.
            "why": self.reason[:LONGEST_TEXT],
            "tools": self.engine.describe_tools(),
        }


def choose_engine(requested: str, tools: Optional[ToolCatalogue] = None) -> EngineChoice:
    """Return the engine for `auto`, `native` or `hashlib`. Raise ValueError for another name.

    `native` falls back to `hashlib` when no tool passes its self-test. `auto` takes the faster of the two. `tools` are
    those of this platform unless they are given.
    """
    if requested not in ENGINE_NAMES:
        raise ValueError(f"no engine is called {requested!r}: one of {', '.join(ENGINE_NAMES)}")
    hashlib_engine = HashlibEngine(ssl.OPENSSL_VERSION)
    if requested == "hashlib":
        return EngineChoice(hashlib_engine, requested, "as configured")

    try:
        with tempfile.TemporaryDirectory(prefix="trial-") as directory:
            trial = _Trial(os.fsencode(os.path.realpath(directory)))
            return _try_tools(hashlib_engine, requested, tools or catalogue(find_platform()), trial)
    except OSError as error:
        reason = f"no trial of native tools: {error.strerror}; set TMPDIR"
        return EngineChoice(hashlib_engine, requested, reason)


def _try_tools(hashlib_engine: Engine, requested: str, tools: ToolCatalogue, trial: _Trial) -> EngineChoice:
    refusals: List[str] = []
    verified_tools = _pick_tools(trial, tools, refusals)
    if verified_tools is None:
        return EngineChoice(hashlib_engine, requested, f"no native tools: {'; '.join(refusals)}")

    native_engine = NativeEngine(verified_tools)
    if requested == "native":
        return EngineChoice(native_engine, requested, "as configured")

    hashlib_rate = trial.rate(hashlib_engine)
    native_rate = trial.rate(native_engine)
    hashlib_mib = hashlib_rate / MIB
    native_mib = native_rate / MIB
    faster = native_engine if native_rate > hashlib_rate else hashlib_engine
    why = f"the faster in a trial: hashlib {hashlib_mib:.0f} MiB/s, native {native_mib:.0f} MiB/s"
    return EngineChoice(faster, requested, why)


def _pick_tools(trial: _Trial, tools: ToolCatalogue, refusals: List[str]) -> Optional[List[VerifiedTool]]:
    """Return the platform's own tools, or those that are much faster; None when some algorithm has none."""
    picked: List[VerifiedTool] = []
    for algorithm in ALGORITHMS:
        if any(algorithm in tool.command.algorithms for tool in picked):
            continue

        tool = _first_verified(tools.own, algorithm, refusals)
        faster = _first_verified(tools.faster, algorithm, refusals)
        if tool is None:
            return None
        # A tool that computes all digests from one read is not worth replacing.
        is_replaceable = len(tool.command.algorithms) == 1
        if faster is not None and is_replaceable and trial.seconds(tool) > trial.seconds(faster) * _MUCH_FASTER:
            tool = faster
        picked.append(tool)
    return picked


def _first_verified(commands: Iterable[ToolCommand], algorithm: str, refusals: List[str]) -> Optional[VerifiedTool]:
    """Return the first tool for an algorithm that passes its self-test and may be given many files, else any first."""
    second_best: Optional[VerifiedTool] = None
    for command in commands:
        if algorithm not in command.algorithms:
            continue

        try:
            tool = verify_tool(command)
        except ToolRefusedError as refusal:
            refusals.append(str(refusal))
            continue

        if tool.takes_many:
            return tool
        second_best = second_best or tool
    return second_best


class _Trial:
    """A few MiB of files to measure with."""

    def __init__(self, directory: bytes) -> None:
        self._directory = directory
        self._files: List[WalkedEntry] = []
        for number, size in enumerate(_TRIAL_SIZES):
            path = os.path.join(directory, b"%d" % number)
            with open(path, "wb") as file:
                # Random, so that no file system compresses it or leaves holes.
                file.write(os.urandom(size))
            self._files.append(_walked_file(path))

    def seconds(self, tool: VerifiedTool) -> float:
        """Return the seconds that a tool takes for all files; infinite when it must not be given many."""
        if not tool.takes_many:
            return float("inf")
        paths = [os.path.join(self._directory, file.path) for file in self._files]
        return _best_time(lambda: run_batch(tool.command, paths, _TRIAL_SECONDS))

    def rate(self, engine: Engine) -> float:
        """Return the bytes a second for which an engine computes both digests."""
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            root = Root(self._directory, descriptor)
            seconds = _best_time(lambda: list(engine.hash_files(root, self._files, _UnlimitedMeter())))
        finally:
            os.close(descriptor)
        return sum(_TRIAL_SIZES) / seconds


class _UnlimitedMeter(Meter):
    """A meter without a limit that reports to nobody."""

    no_progress = _TRIAL_SECONDS * 4

    def start_file(self) -> None:
        pass

    def reserve(self, byte_count: int) -> None:
        pass

    def advance(self, byte_count: int) -> None:
        pass

    def check_parent(self) -> None:
        pass

    def keep_alive(self) -> None:
        pass

    def is_rate_limited(self) -> bool:
        return False

    def may_use_second_thread(self) -> bool:
        return False


def _best_time(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some runs."""
    times = []
    for _ in range(_TRIALS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _walked_file(path: bytes) -> WalkedEntry:
    status = os.lstat(path)
    return WalkedEntry(
        path=os.path.basename(path),
        type=EntryType.FILE,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        dev=status.st_dev,
        ino=status.st_ino,
    )
