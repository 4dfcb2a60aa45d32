"""The lines of a report below its envelope: entries, then notes; how each is written, read, checked and digested.

A line has one form only. `Row` and `Note` hold exactly what a database row holds, so a line that survives
`encode(decode(line)) == line` can be written again from the database byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import re
from json.encoder import encode_basestring as quote
from typing import Any, NamedTuple, Union

from scanner.format import paths

FILE, ERROR, LINK, SPECIAL = 1, 2, 3, 4
SPECIALS = frozenset({"fifo", "socket", "block", "char", "mount"})
STAGES = frozenset({"list", "stat", "open", "read"})
NOTES = frozenset({"confirmed", "misread", "vanished", "skipped", "clock"})
LINE_LIMIT = 64 * 1024
"""The longest line, in bytes with its newline."""
BLOCKS = 256
"""The most slices of which the statement carries a digest."""
INT64 = range(-(2**63), 2**63)
UINT32 = range(2**32)

_ERROR = re.compile(r"E[A-Z0-9]{1,30}\Z")
_EMPTY_SHA256 = hashlib.sha256(b"").digest()


class RecordError(ValueError):
    """A line, or the lines together, are not what a report may hold."""


class Row(NamedTuple):
    """An entry. `detail` is the first path of a hard link, the error's name, the link's target or the special's
    kind."""

    path: str
    type: int
    size: int | None = None
    mtime_ns: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    sha256: bytes | None = None
    md5: bytes | None = None
    detail: str | None = None
    stage: str | None = None


class Note(NamedTuple):
    """What happened to a path in one run. `detail` is canonical JSON, `{…}`, of what else the note says, or empty."""

    path: str
    note: str
    detail: str = ""


class Records(NamedTuple):
    """What the statement says of all lines together. Digests are lower-case hex."""

    total: int
    """The number of lines: `count` in the statement."""
    size: int
    """Their bytes, uncompressed: `bytes` in the statement."""
    sha3_512: str
    blocks: tuple[str, ...]


Record = Union[Row, Note]


def encode(record: Record) -> bytes:
    """The one line of `record`, newline included; RecordError for text that is not Unicode."""
    try:
        return (_encode_row(record) if isinstance(record, Row) else _encode_note(record)).encode()
    except UnicodeEncodeError as error:
        raise RecordError("a surrogate in a string") from error


def _encode_row(row: Row) -> str:
    path, kind, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage = row
    if kind == FILE:
        assert sha256 is not None and md5 is not None
        link = "" if detail is None else f',"hardlink":{quote(detail)}'
        return (
            f'{{"path":{quote(path)},"size":{size},"mtime_ns":{mtime_ns},"mode":{mode},"uid":{uid},"gid":{gid},'
            f'"sha256":"{sha256.hex()}","md5":"{md5.hex()}"{link}}}\n'
        )
    assert detail is not None
    if kind == ERROR:
        return f'{{"path":{quote(path)},"error":{quote(detail)},"stage":{quote(stage or "")}}}\n'
    return f'{{"path":{quote(path)},"{"link" if kind == LINK else "special"}":{quote(detail)}}}\n'


def _encode_note(note: Note) -> str:
    rest = "," + note.detail[1:] if note.detail else "}"
    return f'{{"note":{quote(note.note)},"path":{quote(note.path)}{rest}\n'


def canonical(value: Any) -> str:
    """The one JSON text of `value`: no spaces, keys as they stand, strings escaped only where JSON must."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode_json(text: bytes) -> Any:
    """JSON without what has two meanings: no duplicate key, float, NaN, byte order mark or encoding other than
    UTF-8."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_pairs, parse_float=_no_float, parse_constant=_no_float)
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}"[:200]) from error


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RecordError("a key stands twice")
    return members


def _no_float(text: str) -> Any:
    raise RecordError(f"not an integer: {text[:40]}")


def decode(line: bytes) -> Record:
    """The record of one line, its form not yet checked: `check` and `encode` find a duplicate key, a float and the
    like."""
    try:
        members = json.loads(line.decode())
        return _decode_note(members) if "note" in members else _decode_row(members)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RecordError(f"not a record: {error}"[:200]) from error


def _decode_row(members: dict[str, Any]) -> Row:
    path = members["path"]
    if "error" in members:
        return Row(path, ERROR, detail=members["error"], stage=members["stage"])
    if "link" in members:
        return Row(path, LINK, detail=members["link"])
    if "special" in members:
        return Row(path, SPECIAL, detail=members["special"])
    size, mtime_ns, mode, uid, gid = (members[key] for key in ("size", "mtime_ns", "mode", "uid", "gid"))
    sha256, md5 = (bytes.fromhex(members[key]) for key in ("sha256", "md5"))
    return Row(path, FILE, size, mtime_ns, mode, uid, gid, sha256, md5, members.get("hardlink"))


def _decode_note(members: dict[str, Any]) -> Note:
    rest = {key: value for key, value in members.items() if key not in ("note", "path")}
    return Note(members["path"], members["note"], canonical(rest) if rest else "")


def check(record: Record) -> None:
    """Raise RecordError (or paths.PathError, its sibling) unless every value of `record` is one that a report may
    hold."""
    if not isinstance(record.path, str):
        raise RecordError("a path is a string")
    paths.check(record.path)
    if isinstance(record, Note):
        _check_note(record)
    elif record.type == FILE:
        _check_file(record)
    else:
        _check_other(record)


def _check_file(row: Row) -> None:
    _, _, size, mtime_ns, mode, uid, gid, sha256, md5, hardlink, _ = row
    if not (type(size) is type(mtime_ns) is type(mode) is type(uid) is type(gid) is int):
        raise RecordError("size, mtime_ns, mode, uid and gid are integers")
    if not (0 <= size < 2**63 and mtime_ns in INT64 and mode < 2**31 and uid in UINT32 and gid in UINT32 and mode >= 0):
        raise RecordError("a number is out of its range")
    if sha256 is None or md5 is None or len(sha256) != 32 or len(md5) != 16:
        raise RecordError("sha256 has 64 and md5 has 32 digits")
    if size and sha256 == _EMPTY_SHA256:
        raise RecordError("the digest of nothing for a file that is not empty")
    if hardlink is not None:
        paths.check(hardlink)
        if hardlink >= row.path:
            raise RecordError("a hard link names an earlier path")


def _check_other(row: Row) -> None:
    detail = row.detail
    if not isinstance(detail, str) or not detail:
        raise RecordError("error, link and special are strings")
    if row.type == ERROR and not (_ERROR.match(detail) and row.stage in STAGES):
        raise RecordError("an error has the name of an errno and a stage")
    if row.type == SPECIAL and detail not in SPECIALS:
        raise RecordError("no such kind of special")
    if row.type == LINK and b"\0" in paths.decode(detail):
        raise RecordError("a link target holds no NUL")


def _check_note(note: Note) -> None:
    if note.note not in NOTES:
        raise RecordError("no such note")
    for value in json.loads(note.detail or "{}").values():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, (str, int)) for item in items):
            raise RecordError("a note holds strings, integers, truths and lists of strings")
