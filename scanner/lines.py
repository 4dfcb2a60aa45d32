"""The server's quick decoder of record lines: `records.decode` for entries at msgspec's speed."""

from __future__ import annotations

import msgspec

from scanner.records import ERROR, FILE, LINK, SPECIAL, Record, RecordError, Row, decode


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    path: str
    size: int | None = None
    mtime_ns: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    sha256: str | None = None
    md5: str | None = None
    hardlink: str | None = None
    error: str | None = None
    stage: str | None = None
    link: str | None = None
    special: str | None = None


_decode = msgspec.json.Decoder(_Entry).decode
_fromhex = bytes.fromhex


def parse(line: bytes) -> Record:
    """The record of one line, unchecked like that of `records.decode`, which reads the notes."""
    if line.startswith(b'{"note":'):
        return decode(line)
    try:
        entry = _decode(line)
        if entry.sha256 is not None and entry.md5 is not None:
            return Row(
                entry.path, FILE, entry.size, entry.mtime_ns, entry.mode, entry.uid, entry.gid,
                _fromhex(entry.sha256), _fromhex(entry.md5), entry.hardlink,
            )  # fmt: skip
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(f"not a record: {error}"[:200]) from error
    if entry.error is not None:
        return Row(entry.path, ERROR, detail=entry.error, stage=entry.stage)
    if entry.link is not None:
        return Row(entry.path, LINK, detail=entry.link)
    return Row(entry.path, SPECIAL, detail=entry.special)
