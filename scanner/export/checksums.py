"""Lists for `sha256sum -c` and `md5sum -c`, and BSD's tagged lines, which `cksum -c` and both of those read, too.

A name with a backslash, a line end or a carriage return is escaped, and the line begins with a backslash, as GNU
coreutils write and read it from 9.0 on (manual, "md5sum invocation"); so these forms can say every name.
"""

from __future__ import annotations

from collections.abc import Iterator

from scanner.export.entries import files, pieces
from scanner.export.omissions import LeftOut
from scanner.format import paths
from scanner.format.records import Entry
from scanner.models import Run


def sha256sum(run: Run, prefix: bytes, left_out: LeftOut) -> Iterator[bytes]:
    """Digest, two spaces, name."""
    return pieces(_plain(_hex(row.sha256), row, prefix) for row in files(run, left_out))


def md5sum(run: Run, prefix: bytes, left_out: LeftOut) -> Iterator[bytes]:
    """The same with MD5."""
    return pieces(_plain(_hex(row.md5), row, prefix) for row in files(run, left_out))


def bsd(run: Run, prefix: bytes, left_out: LeftOut) -> Iterator[bytes]:
    """`SHA256 (name) = digest` and `MD5 (name) = digest` of each file."""
    return pieces(_tagged(row, prefix) for row in files(run, left_out))


def _plain(digest: bytes, row: Entry, prefix: bytes) -> bytes:
    mark, name = _escaped(prefix + paths.decode(row.path))
    return mark + digest + b"  " + name + b"\n"


def _tagged(row: Entry, prefix: bytes) -> bytes:
    mark, name = _escaped(prefix + paths.decode(row.path))
    said = ((b"SHA256", row.sha256), (b"MD5", row.md5))
    return b"".join(b"%s%s (%s) = %s\n" % (mark, tag, name, _hex(digest)) for tag, digest in said)


def _escaped(name: bytes) -> tuple[bytes, bytes]:
    """What the line begins with, and the name as it stands in it."""
    safe = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"" if safe == name else b"\\"), safe


def _hex(digest: bytes | None) -> bytes:
    assert digest is not None
    return digest.hex().encode()
