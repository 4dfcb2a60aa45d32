"""Write, read and check the lines of a report below its envelope: first the entries, then the notes.

Each line has one form only. `Entry` and `Note` hold exactly what a row of the database holds, so a line for which
`encode_record(decode_record(line)) == line` can be written again from the database, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import re
from json.encoder import encode_basestring as quote
from typing import Any, NamedTuple, Union

from scanner.format import paths
from scanner.format.canonical_json import canonical_json
from scanner.format.entry_type import EntryType
from scanner.format.errors import PathError, RecordError
from scanner.format.values import (
    INT64,
    LONGEST_NAME,
    Check,
    boolean,
    integer,
    list_of,
    matches,
    object_of,
    one_of,
    text,
    text_or_empty,
)

SPECIAL_KINDS = frozenset({"fifo", "socket", "block", "char", "mount"})
ERROR_STAGES = frozenset({"list", "stat", "open", "read"})

LINE_LIMIT = 64 * 1024
"""Bytes of the longest line, with its newline."""
MAX_BLOCKS = 256
"""The statement carries the digest of each block of lines; there are at most this many."""

UINT32 = range(2**32)

# Plain integers: an enum's members are slow to look up, and these are needed once a line.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value
_LINK = EntryType.LINK.value
_SPECIAL = EntryType.SPECIAL.value

_ERRNO_NAME = re.compile(r"E[A-Z0-9]{1,30}\Z")
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_EMPTY_SHA256 = hashlib.sha256(b"").digest()


def _is_coded_path(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        paths.check(value)
    except PathError:
        return False
    return True


_REREAD_MEMBERS: dict[str, Check] = {
    "against": text_or_empty(LONGEST_NAME),
    "ctime_same": boolean,
    "cold": boolean,
    "engines": list_of(text(LONGEST_NAME)),
    "reads": integer(0),
}
NOTE_MEMBERS: dict[str, dict[str, Check]] = {
    "confirmed": {**_REREAD_MEMBERS, "was_path": _is_coded_path},
    "misread": {**_REREAD_MEMBERS, "sha256": matches(_HEX_SHA256)},
    "vanished": {},
    "skipped": {"reason": text(LONGEST_NAME), "count": integer(0)},
    "clock": {"mtime": one_of("back", "future"), "mtime_ns": integer(), "was_ns": integer()},
}
"""Kinds of notes, each with its further members in their order. Any may be left out; no other one is allowed."""
NOTE_KINDS = frozenset(NOTE_MEMBERS)

# Every member may be left out: a collector says what it knows.
_NOTE_CHECKS = {kind: object_of({}, members) for kind, members in NOTE_MEMBERS.items()}


class Entry(NamedTuple):
    """An entry: what a run says of one path. Only a file has size, times, owner and digests."""

    path: str
    """Coded as `scanner.format.paths` does it."""
    type: int
    """One of EntryType."""
    size: int | None = None
    mtime_ns: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    sha256: bytes | None = None
    md5: bytes | None = None
    detail: str | None = None
    """File: first path of the same hard link, or None. Error: its errno's name. Link: its target. Special: its kind."""
    stage: str | None = None
    """Error: what failed, one of ERROR_STAGES."""


class Note(NamedTuple):
    """A note: what happened while a path was read."""

    path: str
    note: str
    """One of NOTE_KINDS."""
    detail: str = ""
    """Canonical JSON of the other members, `{…}`, or empty."""


Record = Union[Entry, Note]


class RecordsSummary(NamedTuple):
    """Counts and digests of all lines together, for the statement. Digests are lower-case hex."""

    line_count: int
    byte_count: int
    """Bytes of the lines, not compressed."""
    sha3_512: str
    blocks: tuple[str, ...]
    """SHA-256 of each block of lines. They locate damage; `sha3_512` proves."""


def block_size(line_count: int) -> int:
    """Return how many lines a block has, in a report of so many lines. The last block may have fewer."""
    return max(1, -(-line_count // MAX_BLOCKS))


def encode_record(record: Record) -> bytes:
    """Return the one line of a record, newline included. Raise RecordError for text that is not Unicode."""
    if isinstance(record, Entry):
        line = _encode_entry(record)
    else:
        line = _encode_note(record)

    try:
        return line.encode()
    except UnicodeEncodeError as error:
        raise RecordError("a surrogate in a string") from error


def _encode_entry(entry: Entry) -> str:
    # Unpacked at once, and an f-string where json.dumps() would do: this runs once for each of a million files.
    path, entry_type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage = entry
    if entry_type == _FILE:
        assert sha256 is not None and md5 is not None
        hardlink = ""
        if detail is not None:
            hardlink = f',"hardlink":{quote(detail)}'
        return (
            f'{{"path":{quote(path)},"size":{size},"mtime_ns":{mtime_ns},"mode":{mode},"uid":{uid},"gid":{gid},'
            f'"sha256":"{sha256.hex()}","md5":"{md5.hex()}"{hardlink}}}\n'
        )

    assert detail is not None
    if entry_type == _ERROR:
        return f'{{"path":{quote(path)},"error":{quote(detail)},"stage":{quote(stage or "")}}}\n'
    if entry_type == _LINK:
        return f'{{"path":{quote(path)},"link":{quote(detail)}}}\n'
    return f'{{"path":{quote(path)},"special":{quote(detail)}}}\n'


def _encode_note(note: Note) -> str:
    start = f'{{"note":{quote(note.note)},"path":{quote(note.path)}'
    if not note.detail:
        return start + "}\n"
    # The members of the detail follow, in the same object.
    return f"{start},{note.detail[1:]}\n"


def decode_record(line: bytes) -> Record:
    """Return the record of a line. Raise RecordError for what is not JSON or lacks a member.

    Neither values nor form are checked: `check_record` and `encode_record` find whatever else is wrong, such as a
    duplicate key or a float.
    """
    try:
        members = json.loads(line.decode())
        if "note" in members:
            return _decode_note(members)
        return _decode_entry(members)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RecordError(f"not a record: {error}"[:200]) from error


def _decode_entry(members: dict[str, Any]) -> Entry:
    path = members["path"]
    if "error" in members:
        return Entry(path, _ERROR, detail=members["error"], stage=members["stage"])
    if "link" in members:
        return Entry(path, _LINK, detail=members["link"])
    if "special" in members:
        return Entry(path, _SPECIAL, detail=members["special"])

    return Entry(
        path,
        _FILE,
        members["size"],
        members["mtime_ns"],
        members["mode"],
        members["uid"],
        members["gid"],
        bytes.fromhex(members["sha256"]),
        bytes.fromhex(members["md5"]),
        members.get("hardlink"),
    )


def _decode_note(members: dict[str, Any]) -> Note:
    other_members = {key: value for key, value in members.items() if key not in ("note", "path")}
    detail = ""
    if other_members:
        detail = canonical_json(other_members)
    return Note(members["path"], members["note"], detail)


def check_record(record: Record) -> None:
    """Raise RecordError or PathError unless each value of a record is one that a report may hold."""
    if not isinstance(record.path, str):
        raise RecordError("a path is a string")
    paths.check(record.path)

    if isinstance(record, Note):
        _check_note(record)
    elif record.type == _FILE:
        _check_file(record)
    else:
        _check_other(record)


def _check_file(entry: Entry) -> None:
    _, _, size, mtime_ns, mode, uid, gid, sha256, md5, hardlink, _ = entry
    # type() and not isinstance(): True is an int, too.
    if not (type(size) is type(mtime_ns) is type(mode) is type(uid) is type(gid) is int):
        raise RecordError("size, mtime_ns, mode, uid and gid are integers")
    if not (0 <= size < 2**63 and mtime_ns in INT64 and 0 <= mode < 2**31 and uid in UINT32 and gid in UINT32):
        raise RecordError("a number is out of its range")

    if sha256 is None or md5 is None or len(sha256) != 32 or len(md5) != 16:
        raise RecordError("sha256 has 64 and md5 has 32 digits")
    # Some tools give the digest of nothing for a file that they cannot read.
    if size and sha256 == _EMPTY_SHA256:
        raise RecordError("a file that is not empty has the digest of empty content")

    # The path that is named comes earlier, so that whoever reads the report has met it already.
    if hardlink is not None:
        paths.check(hardlink)
        if hardlink >= entry.path:
            raise RecordError("a hard link names an earlier path")


def _check_other(entry: Entry) -> None:
    detail = entry.detail
    if not isinstance(detail, str) or not detail:
        raise RecordError("error, link and special are strings")
    if entry.type == _ERROR and not (_ERRNO_NAME.match(detail) and entry.stage in ERROR_STAGES):
        raise RecordError("an error has the name of an errno and a stage")
    if entry.type == _SPECIAL and detail not in SPECIAL_KINDS:
        raise RecordError("unknown kind of special file")
    if entry.type == _LINK and b"\0" in paths.decode(detail):
        raise RecordError("a link target holds no NUL")


def _check_note(note: Note) -> None:
    # str(): a value from JSON may be a list, which no dictionary can look up.
    is_allowed = _NOTE_CHECKS.get(str(note.note))
    if is_allowed is None:
        raise RecordError("unknown note")
    # A closed schema: what the central server cannot store or does not understand must not pass as evidence.
    if note.detail and not is_allowed(json.loads(note.detail)):
        raise RecordError(f"a member of a note {note.note} is not what the format allows")
