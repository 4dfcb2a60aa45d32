"""The server's quick road for record lines: what `records` and `tally` say of a line, said of many at a time.

Most lines of most reports are entries of files whose names need no escape. Those are decoded, encoded again and
compared many at a time, and their values checked as columns; every other line is decoded and checked alone.
"""

from __future__ import annotations

import hashlib
import operator
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from typing import Annotated, Any

import msgspec

from scanner.format.digests import ContentDigest, RecordsDigest, RecordTotals
from scanner.format.entry_type import EntryType
from scanner.format.errors import PathError, RecordError
from scanner.format.records import LINE_LIMIT, Entry, Record, check_record, decode_record, encode_record

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value
_LINK = EntryType.LINK.value
_SPECIAL = EntryType.SPECIAL.value

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Mode = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_Id = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class _Entry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    path: str
    size: _Size | None = None
    mtime_ns: _Int64 | None = None
    mode: _Mode | None = None
    uid: _Id | None = None
    gid: _Id | None = None
    sha256: str | None = None
    md5: str | None = None
    hardlink: str | None = None
    error: str | None = None
    stage: str | None = None
    link: str | None = None
    special: str | None = None


_decoder, _encoder = msgspec.json.Decoder(_Entry), msgspec.json.Encoder()
_fromhex = bytes.fromhex
ASIDE = 10_000
"""Above so many lines SHA3-512, which is slow, gets a thread of its own."""


def parse(line: bytes) -> Record:
    """The record of one line, unchecked like that of `records.decode`, which reads the notes."""
    if line.startswith(b'{"note":'):
        return decode_record(line)
    try:
        entry = _decoder.decode(line)
        if entry.sha256 is not None and entry.md5 is not None:
            return Entry(
                entry.path, _FILE, entry.size, entry.mtime_ns, entry.mode, entry.uid, entry.gid,
                _fromhex(entry.sha256), _fromhex(entry.md5), entry.hardlink,
            )  # fmt: skip
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(f"not a record: {error}"[:200]) from error
    if entry.error is not None:
        return Entry(entry.path, _ERROR, detail=entry.error, stage=entry.stage)
    if entry.link is not None:
        return Entry(entry.path, _LINK, detail=entry.link)
    return Entry(entry.path, _SPECIAL, detail=entry.special)


_BAD_PARTS = ('""', "//", '/"', '"/', "/./", "/../", '"./', '"../', '/."', '/.."', '"."', '".."')
"""What stands in names, each between quotes, of which one has an empty, `.` or `..` part."""
_EMPTY = hashlib.sha256(b"").hexdigest()


_OF_FILES = tuple(map(operator.attrgetter, ("size", "mtime_ns", "mode", "uid", "gid", "sha256", "md5")))
_OF_OTHERS = tuple(map(operator.attrgetter, ("error", "stage", "link", "special")))


def _are_files(entries: list[_Entry]) -> bool:
    """Whether all have what a file has and nothing else."""
    return not any(None in map(get, entries) for get in _OF_FILES) and all(
        list(map(get, entries)).count(None) == len(entries) for get in _OF_OTHERS
    )


def _are_sound(files: list[_Entry]) -> bool:
    """Whether the values of canonical lines without an escape are all that `records.check` lets pass."""
    links = [(entry.hardlink, entry.path) for entry in files if entry.hardlink is not None]
    names = '"'.join(["", *[entry.path for entry in files], *[link for link, _ in links], ""])
    sha256 = [entry.sha256 or "" for entry in files]
    return (
        not any(part in names for part in _BAD_PARTS)
        and all(link < path for link, path in links)
        and _are_digests(sha256, 64)
        and _are_digests([entry.md5 or "" for entry in files], 32)
        and not (_EMPTY in sha256 and any(entry.sha256 == _EMPTY and entry.size for entry in files))
    )


def _are_digests(digests: list[str], length: int) -> bool:
    text = "".join(digests)
    if set(map(len, digests)) != {length}:
        return False
    try:
        return _fromhex(text).hex() == text
    except ValueError:
        return False


class _Aside:
    """A SHA3-512 that is computed on another thread: hashlib lets go of the interpreter's lock while it works."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._digest, self._pool = hashlib.sha3_512(), pool
        self._pending: deque[Future[None]] = deque()

    def update(self, data: bytes) -> None:
        self._pending.append(self._pool.submit(self._digest.update, data))
        if len(self._pending) > 4:
            self._pending.popleft().result()

    def hexdigest(self) -> str:
        for future in self._pending:
            future.result()
        return self._digest.hexdigest()


class _BatchDigest(RecordsDigest):
    """Digests many lines at a time."""

    _whole: Any

    def __init__(self, count: int, pool: ThreadPoolExecutor | None) -> None:
        super().__init__(count)
        if pool:
            self._whole = _Aside(pool)

    def add_all(self, lines: list[bytes]) -> None:
        at = 0
        while at < len(lines):
            upto = at + min(self._lines_left_in_block, 4096) - len(self._buffer)
            self._buffer += lines[at:upto]
            at = upto
            if len(self._buffer) >= min(self._lines_left_in_block, 4096):
                self._flush()


class _BatchContent(ContentDigest):
    """Digests the content of many files at a time."""

    _digest: Any

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        super().__init__()
        if pool:
            self._digest = _Aside(pool)

    def add_all(self, files: list[_Entry]) -> None:
        self._flush()
        self._digest.update("".join([f"{entry.path}\0{entry.sha256}\0" for entry in files]).encode())


class BatchTally(RecordTotals):
    """A tally that is fed whole lines, many at a time. `lines` is the last one's number; the envelope is line 1."""

    records_digest: _BatchDigest
    content_digest: _BatchContent

    def __init__(self, count: int) -> None:
        super().__init__(count)
        pool = ThreadPoolExecutor(1, "sha3") if count > ASIDE else None
        self.records_digest = _BatchDigest(count, pool)
        self.content_digest = _BatchContent(pool)
        self.lines = 1

    def add_text(self, text: bytes) -> None:
        """Check and add the lines of `text`, which ends with a newline; RecordError names the first bad one.

        A line with an escape, or one that is no file's, goes alone: nothing then rests on how msgspec writes an escape.
        """
        entries = _read(text) if b"\\" not in text else None
        lines = text.splitlines(keepends=True) if entries else [part + b"\n" for part in text.split(b"\n")[:-1]]
        if entries and _are_files(entries):
            self._add_files(entries, lines)
            return
        for alone, run in groupby(lines, _goes_alone):
            neighbours = list(run)
            entries = None if alone else _read(b"".join(neighbours))
            if entries is not None and _are_files(entries):
                self._add_files(entries, neighbours)
            else:
                self._add_each(neighbours)

    def _add_files(self, files: list[_Entry], lines: list[bytes]) -> None:
        """Add neighbours that are files: at once when all is well, else one by one to find what is not."""
        found = [entry.path for entry in files]
        ordered = self._last_path < found[0] and all(map(operator.lt, found, found[1:]))
        if not (ordered and self._last_note is None and _are_sound(files) and max(map(len, lines)) <= LINE_LIMIT):
            self._add_each(lines)
            return
        self.files += len(files)
        self.size += sum([entry.size or 0 for entry in files])
        self._last_path = found[-1]
        self.content_digest.add_all(files)
        self.records_digest.add_all(lines)
        self.lines += len(lines)

    def _add_each(self, lines: list[bytes]) -> None:
        for line in lines:
            self.lines += 1
            try:
                self._add_line(line)
            except (RecordError, PathError) as error:
                raise RecordError(f"line {self.lines}: {error}") from error

    def _add_line(self, line: bytes) -> None:
        if len(line) > LINE_LIMIT:
            raise RecordError(f"longer than {LINE_LIMIT} bytes")
        record = parse(line)
        check_record(record)
        if encode_record(record) != line:
            raise RecordError("the line is not in its canonical form")
        self.add(record, line)


def _goes_alone(line: bytes) -> bool:
    return b"\\" in line or not line.startswith(b'{"path":') or b'"sha256":"' not in line


def _read(text: bytes) -> list[_Entry] | None:
    """The entries of lines of which each is in its canonical form; None when one is not, or may not be."""
    try:
        text.decode()
        entries = _decoder.decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return entries if _encoder.encode_lines(entries) == text else None
