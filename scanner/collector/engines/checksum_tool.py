"""Run a checksum tool, and decide what of its output to believe.

A record is believed when it matches its whole expression and names, byte for byte, a file that was asked for and that
has no answer yet. The exit code says nothing: tools exit with 0 after losing output and with 1 after answering. What a
tool writes to standard error is dropped: its wording differs by tool, version and language.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from scanner.collector.engines.profiles import ToolCommand, digest_expression

DigestsByAlgorithm = Dict[str, Dict[bytes, bytes]]
"""By algorithm, then by path: the digest."""

_COMMAND_LINE_BYTES = 96 << 10
"""Below 128 KiB, the least that Linux allows for all arguments. Where a system allows less, SC_ARG_MAX says so."""
_POINTER_BYTES = 8
"""Each argument costs its pointer, too."""
_WAIT_SECONDS = 0.5

_NEEDS_ESCAPE = re.compile(rb"[\x00-\x1f\x7f\\]")
_PASSED_ON = ("OPENSSL_CONF", "OPENSSL_MODULES")
"""Variables with which an administrator may have changed where OpenSSL finds its algorithms."""


class UnexpectedOutputError(Exception):
    """The tool printed a record that nobody asked for: nothing of this output is believed."""


class VerifiedTool(NamedTuple):
    """A tool that has passed its self-test, and what it proved to be able to do."""

    command: ToolCommand
    version: str
    takes_many: bool
    """Whether it may be given many files in one call."""
    utf8_only: bool
    """Whether it spoils names that are not UTF-8."""
    identity: Dict[str, int]
    """Size, inode and modification time of its file."""

    def takes(self, path: bytes) -> bool:
        """Return whether an absolute path may be in a list of files, and will come back byte for byte."""
        profile = self.command.profile
        if not self.takes_many or len(path) >= profile.max_path:
            return False
        if not profile.takes_any_name and _NEEDS_ESCAPE.search(path):
            return False
        return not self.utf8_only or _is_utf8(path)


def environment() -> Dict[str, str]:
    """Return the environment of a tool: no locale, no PATH of the user's, nothing that changes how it reads options."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **passed_on}


def run_batch(
    command: ToolCommand, paths: Sequence[bytes], seconds: float, keep_alive: Callable[[], None] = lambda: None
) -> DigestsByAlgorithm:
    """Return the digests that a tool prints for many files within a time. Files that it did not answer are left out.

    `keep_alive` is called about twice a second. Raise UnexpectedOutputError, or OSError when the tool does not start.
    """
    try:
        output = _run([*map(os.fsencode, command.batch_command()), *paths], seconds, keep_alive)
    except OSError as error:
        # The environment and the system's own limit count as well, so that a call can still be too long.
        if error.errno != errno.E2BIG or len(paths) < 2:
            raise
        return _run_in_halves(command, paths, seconds, keep_alive)
    return parse_records(output, command, paths)


def _run_in_halves(
    command: ToolCommand, paths: Sequence[bytes], seconds: float, keep_alive: Callable[[], None]
) -> DigestsByAlgorithm:
    middle = len(paths) // 2
    digests = run_batch(command, paths[:middle], seconds, keep_alive)
    for algorithm, second_half in run_batch(command, paths[middle:], seconds, keep_alive).items():
        digests[algorithm].update(second_half)
    return digests


def _run(command: List[bytes], seconds: float, keep_alive: Callable[[], None]) -> bytes:
    """Return what a command prints before it ends, or before its time is over."""
    deadline = time.monotonic() + seconds
    # In `/`, so that no file system is kept busy; paths are absolute.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd="/",
    )

    try:
        while time.monotonic() < deadline:
            try:
                return process.communicate(timeout=_WAIT_SECONDS)[0]
            except subprocess.TimeoutExpired:
                keep_alive()
        return kill(process)
    finally:
        if process.returncode is None:
            kill(process)


def parse_records(output: bytes, command: ToolCommand, paths: Sequence[bytes]) -> DigestsByAlgorithm:
    """Return the digests in a tool's output. An incomplete last record counts as none. Raise UnexpectedOutputError."""
    # What follows the last end is no record: the tool was killed, or its output was lost.
    *records, _ = output.split(command.profile.record_end)
    expected = set(paths)
    # DOTALL: a name may hold a newline.
    expressions = [re.compile(expression, re.DOTALL) for expression in command.record_expressions()]
    digests: DigestsByAlgorithm = {algorithm: {} for algorithm in command.algorithms}

    for record in records:
        for algorithm, expression in zip(command.algorithms, expressions):
            match = expression.fullmatch(record)
            if match and match["name"] in expected and match["name"] not in digests[algorithm]:
                digests[algorithm][match["name"]] = bytes.fromhex(match["digest"].decode())
                break
        else:
            raise UnexpectedOutputError(repr(record[:200]))
    return digests


def start_on_stdin(command: ToolCommand, descriptor: int) -> subprocess.Popen[bytes]:
    """Start a tool on a descriptor, whose offset it shares with the caller. Raise OSError."""
    return subprocess.Popen(
        command.stdin_command(),
        stdin=descriptor,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd="/",
    )


def parse_stdin_output(output: bytes, command: ToolCommand) -> Optional[List[bytes]]:
    """Return the digests in the order of the command's algorithms, or None unless each is there exactly once."""
    digests = []
    for algorithm in command.algorithms:
        # Alone, with nothing of a longer number around it.
        pattern = rb"(?<![0-9A-Za-z])%s(?![0-9A-Za-z])" % digest_expression(algorithm)
        matches = re.findall(pattern, output)
        if len(matches) != 1:
            return None

        digests.append(bytes.fromhex(matches[0].decode()))
    return digests


def kill(process: subprocess.Popen[bytes]) -> bytes:
    """Kill a tool, if it still runs, and return what it had printed."""
    process.kill()
    return process.communicate()[0]


def split_into_calls(paths: Sequence[bytes], max_files: int) -> List[slice]:
    """Return slices of `paths` that fit into one call each. A path that is too long for any has a call of its own."""
    max_bytes = min(_COMMAND_LINE_BYTES, os.sysconf("SC_ARG_MAX") // 4)
    slices = []
    start = 0
    used = 0
    for index, path in enumerate(paths):
        cost = len(path) + 1 + _POINTER_BYTES
        is_full = used + cost > max_bytes or index - start == max_files
        if index > start and is_full:
            slices.append(slice(start, index))
            start = index
            used = 0
        used += cost

    if start < len(paths):
        slices.append(slice(start, len(paths)))
    return slices


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
