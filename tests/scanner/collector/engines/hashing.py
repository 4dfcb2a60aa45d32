"""Hash files with an engine in this process, and say which tools to try it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from scanner.collector.engines.base import ALGORITHMS, Answer, Digests, Engine, Root
from scanner.collector.engines.profiles import ToolCommand, ToolProfile
from scanner.collector.entries import FileResult, HashedFile, WalkedEntry
from tests.fakes.install import install
from tests.scanner.collector.trees import FreeMeter

FindTools = Callable[[Path], list[ToolCommand]]
"""Returns the commands of a kind of tool, or nothing where it is not installed. May install it in the directory."""


def hash_files(
    engine: Engine, root: Path, files: list[WalkedEntry], meter: FreeMeter | None = None
) -> dict[bytes, FileResult]:
    """Return an engine's result for each file, by path. Check that it answers each file exactly once."""
    descriptor = os.open(root, os.O_RDONLY)
    answers: dict[int, Answer] = {}
    try:
        for index, answer in engine.hash_files(Root(os.fsencode(root), descriptor), files, meter or FreeMeter()):
            assert index not in answers
            answers[index] = answer
    finally:
        os.close(descriptor)

    assert set(answers) == set(range(len(files)))
    return {files[index].path: full_result(files[index], answer) for index, answer in answers.items()}


def full_result(entry: WalkedEntry, answer: Answer) -> FileResult:
    """Return an answer as a result: digests alone stand for a file that is as it was walked."""
    if not isinstance(answer, Digests):
        return answer
    return HashedFile(
        entry.path,
        answer.sha256,
        answer.md5,
        entry.size,
        entry.mtime_ns,
        entry.ctime_ns,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.dev,
        entry.ino,
    )


def walked_file(path: bytes, name: bytes) -> WalkedEntry:
    """Return what a walk says of a file that it names `name`."""
    status = os.lstat(path)
    return WalkedEntry(
        name,
        1,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_dev,
        status.st_ino,
    )


def installed_tools(name: str, profile: ToolProfile) -> FindTools:
    """Return a search for real tools on the PATH, one for each algorithm: `{algorithm}` in the name is replaced."""

    def find_tools(_directory: Path) -> list[ToolCommand]:
        commands = []
        for algorithm in ALGORITHMS:
            path = shutil.which(name.format(algorithm=algorithm))
            if path:
                commands.append(ToolCommand(path, profile, (algorithm,)))
        return commands

    return find_tools


def fake_tools(fake: str, name: str, profile: ToolProfile) -> FindTools:
    """Return a search that installs fakes, one for each algorithm: `{algorithm}` in the name is replaced."""

    def find_tools(directory: Path) -> list[ToolCommand]:
        return [
            ToolCommand(install(fake, directory, name.format(algorithm=algorithm)), profile, (algorithm,))
            for algorithm in ALGORITHMS
        ]

    return find_tools
