"""The self-test of a checksum tool: what it really does with known files, instead of tables of versions."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from typing import Dict, Tuple

from scanner.collector.engines import checksum_tool as running
from scanner.collector.engines.checksum_tool import Records, Stray, Tool
from scanner.collector.engines.profiles import Candidate, Profile

_SECONDS = 10.0
_CLEAN = {b"clean": b"abc", b"a b ": b"spaces", b"empty": b""}
_ODD = {b"new\nline": b"newline", b"trail\n": b"trail", b"back\\slash": b"backslash", b"cr\rx": b"return"}
_NOT_UTF8 = {b"odd\xff": b"ff", b"odd\xfe": b"fe"}
_UNREADABLE = b"/proc/self/mem"
"""On Linux, a file that opens and whose reading fails with EIO."""


class Refused(Exception):
    """The tool is not used; the text says why."""


def examine(candidate: Candidate) -> Tool:
    """The tool, with what it proved to be able to do. Raises Refused."""
    path, profile = candidate
    try:
        status = os.stat(path)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        try:
            _check_stdin(path, profile, os.fsencode(folder))
            batch, utf8_only = _check_batch(path, profile, os.fsencode(folder))
        except (OSError, subprocess.SubprocessError) as error:
            raise Refused(f"{path}: {error}") from error
    identity = {"size": status.st_size, "ino": status.st_ino, "mtime_ns": status.st_mtime_ns}
    return Tool(path, profile, _version(path, profile), batch, utf8_only, identity)


def _check_stdin(path: str, profile: Profile, folder: bytes) -> None:
    """Standard input must be read to its end and answered with the right digest, whatever else is printed."""
    content = b"standard input" * 9999
    with open(os.path.join(folder, b"stdin"), "w+b", buffering=0) as file:
        file.write(content)
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        process = running.start_stdin(path, profile, file.fileno())
        try:
            output = process.communicate(timeout=_SECONDS)[0]
        finally:
            if process.returncode is None:
                running.end(process)
        offset = os.lseek(file.fileno(), 0, os.SEEK_CUR)
    if running.parse_stdin(output, profile) != [_digest(name, content) for name in profile.algorithms]:
        raise Refused(f"{path}: wrong answer for standard input")
    if offset != len(content):
        raise Refused(f"{path}: leaves standard input at {offset} of {len(content)}")


def _check_batch(path: str, profile: Profile, folder: bytes) -> Tuple[bool, bool]:
    """Whether the tool may be given many files, and whether it spoils names that are not UTF-8."""
    if profile.batch is None:
        return False, True
    names = {**_CLEAN, **(_ODD if profile.any_name else {})}
    try:
        right = _run(path, profile, folder, names) and _reports_errors(path, profile, folder)
    except Stray:
        return False, True
    try:
        utf8_only = not _run(path, profile, folder, {**_CLEAN, **_NOT_UTF8})
    except (Stray, OSError):  # OSError: a file system that takes no such name
        utf8_only = True
    return right, utf8_only


def _reports_errors(path: str, profile: Profile, folder: bytes) -> bool:
    """Whether what cannot be read gets no digest. That a tool stops there is no harm: the rest is asked for again."""
    bad = [os.path.join(folder, b"missing"), folder]
    if os.path.exists(_UNREADABLE):
        bad.append(_UNREADABLE)
    operands = [os.path.join(folder, b"clean"), *bad]
    records = running.run_batch(path, profile, operands, _SECONDS)
    return not any(operand in digests for digests in records.values() for operand in bad)


def _run(path: str, profile: Profile, folder: bytes, contents: Dict[bytes, bytes]) -> bool:
    """Whether a tool has the right digest of each file, nothing lost, nothing spoilt. Raises Stray, OSError."""
    files = {os.path.join(folder, name): content for name, content in contents.items()}
    for name, content in files.items():
        with open(name, "wb") as file:
            file.write(content)
    expected: Records = {
        algorithm: {name: _digest(algorithm, content) for name, content in files.items()}
        for algorithm in profile.algorithms
    }
    return running.run_batch(path, profile, list(files), _SECONDS) == expected


def _digest(algorithm: str, content: bytes) -> bytes:
    return hashlib.new(algorithm, content, usedforsecurity=False).digest()


def _version(path: str, profile: Profile) -> str:
    """The first line of what the tool says of its version, or the greeting of busybox or toybox; else empty."""
    if not profile.version:
        return ""
    try:
        done = subprocess.run(
            [path, *profile.version],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=running.environment(),
            cwd="/",
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    text = done.stdout.decode("utf-8", "replace")
    found = re.search(r"(busybox|toybox) v?\d\S*", text, re.IGNORECASE)
    if found:
        return found[0]
    return text.splitlines()[0].strip()[:200] if done.returncode == 0 and text.strip() else ""
