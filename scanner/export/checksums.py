"""Write lists for `sha256sum -c` and `md5sum -c`, and BSD's tagged lines, which `cksum -c` and both of those read.

A name with a backslash, a line end or a carriage return is escaped, and its line begins with a backslash, as GNU
coreutils write and read it from 9.0 on (manual, "md5sum invocation"). So these formats can express every name.
"""

from __future__ import annotations

from collections.abc import Iterator

from scanner.export.entries import join_lines, read_files
from scanner.export.omissions import Omissions
from scanner.format import paths
from scanner.format.records import Entry
from scanner.models import Run


def write_sha256sum(run: Run, prefix: bytes, omissions: Omissions) -> Iterator[bytes]:
    """Return lines of digest, two spaces and name."""
    return join_lines(_plain_line(_hex(row.sha256), row, prefix) for row in read_files(run, omissions))


def write_md5sum(run: Run, prefix: bytes, omissions: Omissions) -> Iterator[bytes]:
    """Return lines as of `write_sha256sum`, with MD5."""
    return join_lines(_plain_line(_hex(row.md5), row, prefix) for row in read_files(run, omissions))


def write_bsd(run: Run, prefix: bytes, omissions: Omissions) -> Iterator[bytes]:
    """Return `SHA256 (name) = digest` and `MD5 (name) = digest` of each file."""
    return join_lines(_tagged_lines(row, prefix) for row in read_files(run, omissions))


def _plain_line(digest: bytes, row: Entry, prefix: bytes) -> bytes:
    mark, name = _escape(prefix + paths.decode(row.path))
    return mark + digest + b"  " + name + b"\n"


def _tagged_lines(row: Entry, prefix: bytes) -> bytes:
    mark, name = _escape(prefix + paths.decode(row.path))
    sha256_line = b"%sSHA256 (%s) = %s\n" % (mark, name, _hex(row.sha256))
    md5_line = b"%sMD5 (%s) = %s\n" % (mark, name, _hex(row.md5))
    return sha256_line + md5_line


def _escape(name: bytes) -> tuple[bytes, bytes]:
    """Return what the line begins with, a backslash or nothing, and the name as it is written."""
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b""
    if escaped != name:
        mark = b"\\"
    return mark, escaped


def _hex(digest: bytes | None) -> bytes:
    assert digest is not None
    return digest.hex().encode()
