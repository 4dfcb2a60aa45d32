"""Write a list of known files for `hashdeep -k` (version 1.0 of its format, with SHA-256 and MD5)."""

from __future__ import annotations

from collections.abc import Iterator

from scanner.export.entries import join_lines, read_files
from scanner.export.omissions import OmissionReason, Omissions
from scanner.format import paths
from scanner.models import Run

MAX_LINE = 2046
"""Bytes of a line, without its end, that hashdeep 4.4 reads whole; found by trial."""


def write_hashdeep(run: Run, prefix: bytes, omissions: Omissions) -> Iterator[bytes]:
    """Yield size, digests and name of each file, and at the end what is left out, in lines that hashdeep skips.

    The format has no escapes: a name with a line end, or with a carriage return at its end, or a long one is left out.
    """
    yield b"%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n"
    yield f"## backup_syncer: run {run.sequence} of replica {run.replica.uuid}\n##\n".encode()
    yield from join_lines(_file_lines(run, prefix, omissions))
    yield "".join(f"## {line}\n" for line in omissions.lines()).encode()


def _file_lines(run: Run, prefix: bytes, omissions: Omissions) -> Iterator[bytes]:
    for row in read_files(run, omissions):
        assert row.sha256 is not None and row.md5 is not None
        name = prefix + paths.decode(row.path)
        line = f"{row.size},{row.md5.hex()},{row.sha256.hex()},".encode() + name
        # Left out and counted: hashdeep would take the rest of such a name for a line, or never find the file.
        if b"\n" in name or name.endswith(b"\r") or len(line) > MAX_LINE:
            omissions.add(OmissionReason.NAME, row.path)
        else:
            yield line + b"\n"
