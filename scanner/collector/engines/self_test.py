"""Test a checksum tool on known files: what it really does counts, not a table of versions."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from typing import Dict, NamedTuple

from scanner.collector.engines.checksum_tool import (
    DigestsByAlgorithm,
    UnexpectedOutputError,
    VerifiedTool,
    environment,
    kill,
    parse_stdin_output,
    run_batch,
    start_on_stdin,
)
from scanner.collector.engines.profiles import ToolCommand
from scanner.format.values import INT64

_SECONDS = 10.0
"""Time limit of each run."""

_PLAIN_FILES = {b"clean": b"abc", b"a b ": b"spaces", b"empty": b""}
_FILES_TO_ESCAPE = {b"new\nline": b"newline", b"trail\n": b"trail", b"back\\slash": b"backslash", b"cr\rx": b"return"}
_FILES_NOT_UTF8 = {b"odd\xff": b"ff", b"odd\xfe": b"fe"}
_UNREADABLE_FILE = b"/proc/self/mem"
"""On Linux, a file that opens and whose reading fails with EIO."""

_BUSYBOX_VERSION = re.compile(r"(busybox|toybox) v?\d\S*", re.IGNORECASE)


class ToolRefusedError(Exception):
    """The tool is not used. The message says why."""


class _BatchAbility(NamedTuple):
    takes_many: bool
    utf8_only: bool


def verify_tool(command: ToolCommand) -> VerifiedTool:
    """Return the tool with what it proved to be able to do. Raise ToolRefusedError."""
    path = command.path
    try:
        status = os.stat(path)
    except OSError as error:
        raise ToolRefusedError(f"{path}: {error.strerror}") from error

    with tempfile.TemporaryDirectory(prefix="probe-") as directory:
        try:
            _check_stdin(command, os.fsencode(directory))
            ability = _test_batch(command, os.fsencode(directory))
        except (OSError, subprocess.SubprocessError) as error:
            raise ToolRefusedError(f"{path}: {error}") from error

    identity = {"size": status.st_size, "ino": status.st_ino, "mtime_ns": status.st_mtime_ns}
    # A file system may number its inodes, or date its files, beyond what a statement can hold.
    held_identity = {name: number for name, number in identity.items() if INT64[0] <= number <= INT64[-1]}
    return VerifiedTool(command, _read_version(command), ability.takes_many, ability.utf8_only, held_identity)


def _check_stdin(command: ToolCommand, directory: bytes) -> None:
    """Check that standard input is read to its end and gets the right digest, whatever else is printed."""
    # Longer than the buffers that tools read with, so that one that reads only once is found out.
    content = b"standard input" * 9999
    with open(os.path.join(directory, b"stdin"), "w+b", buffering=0) as file:
        file.write(content)
        file.seek(0)
        process = start_on_stdin(command, file.fileno())
        try:
            output = process.communicate(timeout=_SECONDS)[0]
        finally:
            if process.returncode is None:
                kill(process)
        offset = file.tell()

    if parse_stdin_output(output, command) != [_digest(algorithm, content) for algorithm in command.algorithms]:
        raise ToolRefusedError(f"{command.path}: wrong answer for standard input")
    if offset != len(content):
        raise ToolRefusedError(f"{command.path}: leaves standard input at {offset} of {len(content)}")


def _test_batch(command: ToolCommand, directory: bytes) -> _BatchAbility:
    profile = command.profile
    if profile.batch_arguments is None:
        return _BatchAbility(takes_many=False, utf8_only=True)

    files = _PLAIN_FILES
    if profile.takes_any_name:
        files = {**_PLAIN_FILES, **_FILES_TO_ESCAPE}
    try:
        takes_many = _is_right(command, directory, files) and _leaves_out_unreadable(command, directory)
    except UnexpectedOutputError:
        return _BatchAbility(takes_many=False, utf8_only=True)

    try:
        utf8_only = not _is_right(command, directory, {**_PLAIN_FILES, **_FILES_NOT_UTF8})
    except (UnexpectedOutputError, OSError):
        # OSError: a file system that refuses such a name, so that the tool cannot be tested.
        utf8_only = True
    return _BatchAbility(takes_many, utf8_only)


def _is_right(command: ToolCommand, directory: bytes, contents: Dict[bytes, bytes]) -> bool:
    """Return whether a tool prints the right digest of each file, nothing lost and nothing spoilt.

    Raise UnexpectedOutputError or OSError.
    """
    files = {os.path.join(directory, name): content for name, content in contents.items()}
    for path, content in files.items():
        with open(path, "wb") as file:
            file.write(content)

    expected: DigestsByAlgorithm = {
        algorithm: {path: _digest(algorithm, content) for path, content in files.items()}
        for algorithm in command.algorithms
    }
    return run_batch(command, list(files), _SECONDS) == expected


def _leaves_out_unreadable(command: ToolCommand, directory: bytes) -> bool:
    """Return whether what cannot be read gets no digest.

    A tool may stop there: files without an answer are read by themselves later.
    """
    unreadable = [os.path.join(directory, b"missing"), directory]
    if os.path.exists(_UNREADABLE_FILE):
        unreadable.append(_UNREADABLE_FILE)
    paths = [os.path.join(directory, b"clean"), *unreadable]
    digests = run_batch(command, paths, _SECONDS)
    return not any(path in by_path for by_path in digests.values() for path in unreadable)


def _digest(algorithm: str, content: bytes) -> bytes:
    return hashlib.new(algorithm, content, usedforsecurity=False).digest()


def _read_version(command: ToolCommand) -> str:
    """Return the first line of what the tool says of its version, or the greeting of busybox or toybox, or nothing."""
    if not command.profile.version_arguments:
        return ""
    try:
        process = subprocess.run(
            [command.path, *command.profile.version_arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            cwd="/",
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return ""

    # busybox does not know --version: it fails and prints its usage, which begins with its name and version.
    text = process.stdout.decode("utf-8", "replace").replace("\0", "")
    greeting = _BUSYBOX_VERSION.search(text)
    if greeting:
        return greeting[0]
    if process.returncode != 0 or not text.strip():
        return ""
    return text.splitlines()[0].strip()[:200]
