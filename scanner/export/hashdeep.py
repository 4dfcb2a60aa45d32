"""A list of known files for `hashdeep -k` (version 1.0 of its format, with SHA-256 and MD5)."""

from __future__ import annotations

from collections.abc import Iterator

from scanner.export.entries import files, pieces
from scanner.export.omissions import LeftOut, Why
from scanner.format import paths
from scanner.models import Run

LONGEST = 2046
"""Bytes of a line, without its end, that hashdeep 4.4 reads whole; tried."""


def hashdeep(run: Run, prefix: bytes, left_out: LeftOut) -> Iterator[bytes]:
    """Size, digests and name of each file. What is left out stands at the end, in lines that hashdeep passes over.

    It knows no escape: a name with a line end, or with a carriage return at its end, cannot be said, nor a long one.
    """
    yield b"%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n"
    yield f"## backup_syncer: run {run.sequence} of replica {run.replica.uuid}\n##\n".encode()
    yield from pieces(_lines(run, prefix, left_out))
    yield "".join(f"## {line}\n" for line in left_out.lines()).encode()


def _lines(run: Run, prefix: bytes, left_out: LeftOut) -> Iterator[bytes]:
    for row in files(run, left_out):
        assert row.sha256 is not None and row.md5 is not None
        name = prefix + paths.decode(row.path)
        line = f"{row.size},{row.md5.hex()},{row.sha256.hex()},".encode() + name
        if b"\n" in name or name.endswith(b"\r") or len(line) > LONGEST:
            left_out.add(Why.NAME, row.path)
        else:
            yield line + b"\n"
