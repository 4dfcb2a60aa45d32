"""Which engine does the work, and why: what is wanted, what passes its self-test, and what is faster here."""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Union

from scanner.collector.engines import self_test as probe
from scanner.collector.engines.base import ALGORITHMS, Engine, Meter, Root
from scanner.collector.engines.base import Tool as ToolStatement
from scanner.collector.engines.checksum_tool import Tool, run_batch
from scanner.collector.engines.hashlib_engine import HashlibEngine
from scanner.collector.engines.native_engine import NativeEngine
from scanner.collector.engines.profiles import Candidate, Catalogue, catalogue
from scanner.collector.entries import WalkedEntry
from scanner.format.entry_type import EntryType

Statement = Dict[str, Union[str, List[ToolStatement]]]
WANTED = ("auto", "native", "hashlib")
_TRIAL_SIZES = (1 << 20,) * 8 + (2 << 10,) * 64
"""Bytes of each file of a trial: most trees have many small ones, which cost an engine more than their bytes."""
_TRIALS = 2
_MUCH_FASTER = 1.5
_SECONDS = 30.0


class EngineChoice(NamedTuple):
    """An engine, with what is to be said of it."""

    engine: Engine
    wanted: str
    why: str

    def statement(self) -> Statement:
        """The choice as the statement of a run tells it: text, integers and lists of such alone."""
        return {"name": self.engine.name, "wanted": self.wanted, "why": self.why, "tools": self.engine.tools()}


def choose(wanted: str, tools: Optional[Catalogue] = None) -> EngineChoice:
    """The engine for `auto`, `native` or `hashlib`. Raises ValueError for any other word.

    `native` falls back to `hashlib` when no tool passes its self-test; `auto` takes the faster of the two.
    """
    if wanted not in WANTED:
        raise ValueError(f"no engine is called {wanted!r}: one of {', '.join(WANTED)}")
    in_process = HashlibEngine(ssl.OPENSSL_VERSION)
    if wanted == "hashlib":
        return EngineChoice(in_process, wanted, "as configured")
    try:
        with tempfile.TemporaryDirectory(prefix="trial-") as folder:  # TMPDIR says where
            return _tried(in_process, wanted, tools or catalogue(), _Trial(os.fsencode(os.path.realpath(folder))))
    except OSError as error:
        return EngineChoice(in_process, wanted, f"no trial of native tools: {error.strerror}; set TMPDIR")


def _tried(in_process: Engine, wanted: str, tools: Catalogue, trial: _Trial) -> EngineChoice:
    """What is left of the platform's tools after their self-test, beside hashlib."""
    refusals: List[str] = []
    own = _fastest(trial, tools, refusals)
    if own is None:
        return EngineChoice(in_process, wanted, f"no native tools: {'; '.join(refusals)}")
    native = NativeEngine(own)
    if wanted == "native":
        return EngineChoice(native, wanted, "as configured")
    rates = {engine: trial.rate(engine) for engine in (in_process, native)}
    faster = native if rates[native] > rates[in_process] else in_process
    figures = ", ".join(f"{engine.name} {rate / (1 << 20):.0f} MiB/s" for engine, rate in rates.items())
    return EngineChoice(faster, wanted, f"the faster in a trial: {figures}")


def _fastest(trial: _Trial, tools: Catalogue, refusals: List[str]) -> Optional[List[Tool]]:
    """The platform's own tools, or those that are much faster; None when some algorithm has none."""
    chosen: List[Tool] = []
    for algorithm in ALGORITHMS:
        if any(algorithm in tool.profile.algorithms for tool in chosen):
            continue
        own = _first(tools.own, algorithm, refusals)
        fast = _first(tools.fast, algorithm, refusals)
        if own is not None and fast is not None and len(own.profile.algorithms) == 1:
            own = fast if trial.seconds(own) > trial.seconds(fast) * _MUCH_FASTER else own
        if own is None:
            return None
        chosen.append(own)
    return chosen


def _first(candidates: Iterable[Candidate], algorithm: str, refusals: List[str]) -> Optional[Tool]:
    """The first tool for an algorithm that passes its self-test, one that may be given many files before others."""
    second_best: Optional[Tool] = None
    for candidate in candidates:
        if algorithm not in candidate.profile.algorithms:
            continue
        try:
            tool = probe.examine(candidate)
        except probe.Refused as refused:
            refusals.append(str(refused))
            continue
        if tool.batch:
            return tool
        second_best = second_best or tool
    return second_best


class _Trial:
    """A few MiB to measure with."""

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        self._files: List[WalkedEntry] = []
        for number, size in enumerate(_TRIAL_SIZES):
            path = os.path.join(folder, b"%d" % number)
            with open(path, "wb") as file:
                file.write(os.urandom(size))
            self._files.append(_found(path))

    def seconds(self, tool: Tool) -> float:
        """The seconds that a tool takes for all files; infinite when it is not to be given many."""
        if not tool.batch:
            return float("inf")
        operands = [os.path.join(self._folder, found.path) for found in self._files]
        return min(_timed(lambda: run_batch(tool.path, tool.profile, operands, _SECONDS)) for _ in range(_TRIALS))

    def rate(self, engine: Engine) -> float:
        """Bytes a second, both digests."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            root = Root(self._folder, descriptor)
            best = min(_timed(lambda: list(engine.hash(root, self._files, _Stopwatch()))) for _ in range(_TRIALS))
        finally:
            os.close(descriptor)
        return sum(_TRIAL_SIZES) / best


class _Stopwatch(Meter):
    """A meter that asks for nothing and tells nobody."""

    no_progress = _SECONDS * 4

    def begin(self) -> None:
        pass

    def reserve(self, count: int) -> None:
        pass

    def advance(self, count: int) -> None:
        pass

    def check(self) -> None:
        pass

    def alive(self) -> None:
        pass

    def paced(self) -> bool:
        return False

    def wide(self) -> bool:
        return False


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _found(path: bytes) -> WalkedEntry:
    status = os.lstat(path)
    return WalkedEntry(
        os.path.basename(path),
        EntryType.FILE,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_dev,
        status.st_ino,
    )
