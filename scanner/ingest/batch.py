"""Check and add up record lines many at a time, with the results of `scanner.format.records` and `digests`.

Most lines of most reports are entries of files whose names need no escape. Those are decoded, encoded again and
compared many at a time, and their values are checked as columns. Every other line is decoded and checked alone.
"""

from __future__ import annotations

import hashlib
import operator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Annotated, Any

import msgspec

from scanner.format.digests import ContentDigest, RecordsDigest, RecordTotals
from scanner.format.entry_type import EntryType
from scanner.format.errors import PathError, RecordError
from scanner.format.records import LINE_LIMIT, Entry, Record, check_record, decode_record, encode_record
from scanner.format.threaded_digest import ThreadedSha3

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value
_LINK = EntryType.LINK.value
_SPECIAL = EntryType.SPECIAL.value

THREADED_FROM_LINES = 10_000
"""Above this many lines SHA3-512, which is slow, gets a thread of its own."""
DIGESTED_LINES = 4096
"""Lines that are joined before they are digested."""

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Mode = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_UserId = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


# gc=False: an entry holds text and numbers, so it is part of no cycle, and the garbage collector need not visit it.
class _Entry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A line of any entry. The order of the fields is that of the canonical form."""

    path: str
    size: _Size | None = None
    mtime_ns: _Int64 | None = None
    mode: _Mode | None = None
    uid: _UserId | None = None
    gid: _UserId | None = None
    sha256: str | None = None
    md5: str | None = None
    hardlink: str | None = None
    error: str | None = None
    stage: str | None = None
    link: str | None = None
    special: str | None = None


_decoder = msgspec.json.Decoder(_Entry)
_encoder = msgspec.json.Encoder()

_get_file_values = [operator.attrgetter(name) for name in ("size", "mtime_ns", "mode", "uid", "gid", "sha256", "md5")]
_get_other_values = [operator.attrgetter(name) for name in ("error", "stage", "link", "special")]

_BAD_NAME_PARTS = ('""', "//", '/"', '"/', "/./", "/../", '"./', '"../', '/."', '/.."', '"."', '".."')
"""Text that occurs in names that stand between quotes when one of them has an empty, `.` or `..` part."""
_SHA256_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def parse(line: bytes) -> Record:
    """Return the record of one line, unchecked as from `decode_record`, which reads the notes. Raise RecordError."""
    if line.startswith(b'{"note":'):
        return decode_record(line)

    try:
        entry = _decoder.decode(line)
        if entry.sha256 is not None and entry.md5 is not None:
            return Entry(
                entry.path,
                _FILE,
                entry.size,
                entry.mtime_ns,
                entry.mode,
                entry.uid,
                entry.gid,
                bytes.fromhex(entry.sha256),
                bytes.fromhex(entry.md5),
                entry.hardlink,
            )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(f"not a record: {error}"[:200]) from error

    if entry.error is not None:
        return Entry(entry.path, _ERROR, detail=entry.error, stage=entry.stage)
    if entry.link is not None:
        return Entry(entry.path, _LINK, detail=entry.link)
    return Entry(entry.path, _SPECIAL, detail=entry.special)


class _BatchRecordsDigest(RecordsDigest):
    """A digest of records that takes many lines at a time."""

    _whole: Any

    def __init__(self, count: int, pool: ThreadPoolExecutor | None) -> None:
        super().__init__(count)
        if pool is not None:
            self._whole = ThreadedSha3(pool)

    def add_lines(self, lines: list[bytes]) -> None:
        start = 0
        while start < len(lines):
            # As far as the block or the buffer reaches: a buffer never holds lines of two blocks.
            end = start + min(self._lines_left_in_block, DIGESTED_LINES) - len(self._buffer)
            self._buffer += lines[start:end]
            start = end
            if len(self._buffer) >= min(self._lines_left_in_block, DIGESTED_LINES):
                self._flush()


class _BatchContentDigest(ContentDigest):
    """A digest of contents that takes many files at a time."""

    _digest: Any

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        super().__init__()
        if pool is not None:
            self._digest = ThreadedSha3(pool)

    def add_files(self, files: list[_Entry]) -> None:
        # What `add` has buffered comes before these files in the report.
        self._flush()
        self._digest.update("".join([f"{file.path}\0{file.sha256}\0" for file in files]).encode())


class BatchTotals(RecordTotals):
    """Totals of records that are added as whole lines, many at a time."""

    records_digest: _BatchRecordsDigest
    content_digest: _BatchContentDigest

    def __init__(self, count: int) -> None:
        super().__init__(count)

        # One thread serves both digests: the other core decodes.
        pool = None
        if count > THREADED_FROM_LINES:
            pool = ThreadPoolExecutor(1, "sha3")
        self.records_digest = _BatchRecordsDigest(count, pool)
        self.content_digest = _BatchContentDigest(pool)
        self.lines = 1
        """The number of the last line; the envelope is line 1."""

    def add_text(self, text: bytes) -> None:
        """Check and add the lines of `text`, which ends with a newline. Raise RecordError that names the first bad one.

        A line with an escape, or that is no file's, is checked alone: nothing depends on how msgspec writes an escape.
        """
        entries = None
        if b"\\" not in text:
            entries = _decode_canonical(text)
        if entries:
            # splitlines() also splits at a carriage return, which canonical JSON holds only as an escape.
            lines = text.splitlines(keepends=True)
            if _are_files(entries):
                self._add_files(entries, lines)
                return
        else:
            # Not proven canonical: a bare carriage return must stay inside its line, where it is refused.
            lines = [part + b"\n" for part in text.split(b"\n")[:-1]]

        # Neighbours that can be checked together stay together around the lines that cannot.
        for is_alone, group in groupby(lines, _is_checked_alone):
            neighbours = list(group)
            entries = None
            if not is_alone:
                entries = _decode_canonical(b"".join(neighbours))
            if entries is not None and _are_files(entries):
                self._add_files(entries, neighbours)
            else:
                self._add_lines_one_by_one(neighbours)

    def _add_files(self, files: list[_Entry], lines: list[bytes]) -> None:
        """Add neighbours that are files: at once when all are good, else one by one to find the bad one."""
        file_paths = [file.path for file in files]
        are_in_order = self._last_path < file_paths[0] and all(map(operator.lt, file_paths, file_paths[1:]))
        are_short = max(map(len, lines)) <= LINE_LIMIT
        # The fast checks say only that something is wrong. The slow ones say what, and in which line.
        if not (are_in_order and self._last_note is None and are_short and _have_valid_values(files)):
            self._add_lines_one_by_one(lines)
            return

        self.files += len(files)
        self.size += sum([file.size or 0 for file in files])
        self._last_path = file_paths[-1]
        self.content_digest.add_files(files)
        self.records_digest.add_lines(lines)
        self.lines += len(lines)

    def _add_lines_one_by_one(self, lines: list[bytes]) -> None:
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


def _is_checked_alone(line: bytes) -> bool:
    return b"\\" in line or not line.startswith(b'{"path":') or b'"sha256":"' not in line


def _decode_canonical(text: bytes) -> list[_Entry] | None:
    """Return the entries of lines that are all in their canonical form; None when one is not, or may not be."""
    try:
        text.decode()
        entries = _decoder.decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None

    if _encoder.encode_lines(entries) != text:
        return None
    return entries


def _are_files(entries: list[_Entry]) -> bool:
    """Return whether all entries have what a file has and nothing else."""
    for get in _get_file_values:
        if None in map(get, entries):
            return False

    return all(list(map(get, entries)).count(None) == len(entries) for get in _get_other_values)


def _have_valid_values(files: list[_Entry]) -> bool:
    """Return whether `check_record` would pass all of these files, which come from canonical lines without escapes."""
    hard_links = [(file.hardlink, file.path) for file in files if file.hardlink is not None]
    if not all(target < path for target, path in hard_links):
        return False

    # All names between quotes, in one text: one search for each bad part finds it in any of them.
    names = '"'.join(["", *[file.path for file in files], *[target for target, _path in hard_links], ""])
    if any(part in names for part in _BAD_NAME_PARTS):
        return False

    sha256_digests = [file.sha256 or "" for file in files]
    if not _are_hex_digests(sha256_digests, 64):
        return False
    if not _are_hex_digests([file.md5 or "" for file in files], 32):
        return False

    # A file with bytes cannot have the digest of nothing.
    if _SHA256_OF_NOTHING not in sha256_digests:
        return True
    return not any(file.sha256 == _SHA256_OF_NOTHING and file.size for file in files)


def _are_hex_digests(digests: list[str], length: int) -> bool:
    """Return whether all are lower-case hex of this length."""
    if set(map(len, digests)) != {length}:
        return False

    text = "".join(digests)
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False
