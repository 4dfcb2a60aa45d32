"""One checksum tool that has passed its self-test: how it is run, and what of its output is believed.

A record is believed when it matches its whole expression and names, byte for byte, a file that was asked for and was
not yet answered. The exit code says nothing: tools exit with 0 after losing output and with 1 after answering. What is
written to standard error is dropped: its wording differs by tool, version and language.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from scanner.collector.engines.profiles import HEX_DIGITS, Profile

Records = Dict[str, Dict[bytes, bytes]]
"""By algorithm and operand, the digest."""
_ARGV_BYTES = 96 << 10
_POINTER = 8
_BEAT = 0.5


class Tool(NamedTuple):
    """A tool, and what it proved to be able to do."""

    path: str
    profile: Profile
    version: str
    batch: bool
    """It may be given many files."""
    utf8_only: bool
    """It spoils names that are not UTF-8."""
    identity: Dict[str, int]
    """Size, inode and modification time of its file."""

    def clean(self, path: bytes) -> bool:
        """Whether an absolute path may be an operand, and will come back byte for byte."""
        if not self.batch or len(path) >= self.profile.max_path:
            return False
        if not self.profile.any_name and _ODD.search(path):
            return False
        return not self.utf8_only or _is_utf8(path)


class Stray(Exception):
    """The tool printed a record that nobody asked for: nothing of this output is believed."""


_ODD = re.compile(rb"[\x00-\x1f\x7f\\]")


def environment() -> Dict[str, str]:
    """The environment of a tool: no locale, no PATH of the user's, nothing that changes how options are read."""
    kept = {name: os.environ[name] for name in ("OPENSSL_CONF", "OPENSSL_MODULES") if name in os.environ}
    return {"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **kept}


def run_batch(
    path: str, profile: Profile, operands: Sequence[bytes], seconds: float, beat: Callable[[], None] = lambda: None
) -> Records:
    """What a tool says of `operands` within a time; those that it did not answer are left out. Raises Stray, OSError.

    `beat` is called about twice a second.
    """
    try:
        output = _output([os.fsencode(path), *map(os.fsencode, profile.batch or ()), *operands], seconds, beat)
    except OSError as error:
        if error.errno != errno.E2BIG or len(operands) < 2:
            raise
        half = len(operands) // 2
        records = run_batch(path, profile, operands[:half], seconds, beat)
        for algorithm, digests in run_batch(path, profile, operands[half:], seconds, beat).items():
            records[algorithm].update(digests)
        return records
    return parse(output, profile, operands)


def parse(output: bytes, profile: Profile, operands: Sequence[bytes]) -> Records:
    """The records of a tool's output; an incomplete last one is none. Raises Stray."""
    *whole, _ = output.split(profile.delimiter)
    asked = set(operands)
    expressions = [re.compile(record, re.DOTALL) for record in profile.records]
    records: Records = {algorithm: {} for algorithm in profile.algorithms}
    for piece in whole:
        for algorithm, expression in zip(profile.algorithms, expressions):
            found = expression.fullmatch(piece)
            if found and found["name"] in asked and found["name"] not in records[algorithm]:
                records[algorithm][found["name"]] = bytes.fromhex(found["digest"].decode())
                break
        else:
            raise Stray(repr(piece[:200]))
    return records


def parse_stdin(output: bytes, profile: Profile) -> Optional[List[bytes]]:
    """The digests, in the order of the profile's algorithms; None unless each is there exactly once."""
    digests = []
    for algorithm in profile.algorithms:
        found = re.findall(rb"(?<![0-9A-Za-z])[0-9a-f]{%d}(?![0-9A-Za-z])" % HEX_DIGITS[algorithm], output)
        if len(found) != 1:
            return None
        digests.append(bytes.fromhex(found[0].decode()))
    return digests


def start_stdin(path: str, profile: Profile, descriptor: int) -> subprocess.Popen[bytes]:
    """The tool at work on a descriptor, whose offset it shares with whoever holds it. Raises OSError."""
    return subprocess.Popen(
        [path, *profile.stdin],
        stdin=descriptor,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd="/",
    )


def end(process: subprocess.Popen[bytes]) -> bytes:
    """Kill a tool, if it still runs, and take what it had printed."""
    process.kill()
    return process.communicate()[0]


def groups(operands: Sequence[bytes], max_files: int) -> List[slice]:
    """Slices of `operands` that fit into one call each."""
    limit = min(_ARGV_BYTES, os.sysconf("SC_ARG_MAX") // 4)
    slices = []
    start = used = 0
    for index, operand in enumerate(operands):
        cost = len(operand) + 1 + _POINTER
        if index > start and (used + cost > limit or index - start == max_files):
            slices.append(slice(start, index))
            start, used = index, 0
        used += cost
    if start < len(operands):
        slices.append(slice(start, len(operands)))
    return slices


def _output(command: List[bytes], seconds: float, beat: Callable[[], None]) -> bytes:
    """What a command prints before it ends or its time does."""
    until = time.monotonic() + seconds
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd="/",
    )
    try:
        while time.monotonic() < until:
            try:
                return process.communicate(timeout=_BEAT)[0]
            except subprocess.TimeoutExpired:
                beat()
        return end(process)
    finally:
        if process.returncode is None:
            end(process)


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
