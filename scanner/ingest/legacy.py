"""Read reports in the project's first format: one JSON document whose digest has no key, so that nobody vouches for it.

`{"data": "<json text>", "signature": "<hex SHA3-512 of that text>"}`; the text holds `checksums` {absolute path:
{"sha256", "md5"}}, `errors` {absolute path: {"error": text}}, `files` [absolute paths], `start_timestamp` (seconds, a
string), `work_time` (float seconds), `group` and `root_data` (the root). The digests come from GNU tools, which put a
backslash before the digest of a name that they had to escape. Sizes and times are unknown: the line of a file has its
digests alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring as quote
from typing import Any, NamedTuple

from scanner.errors import LegacyFormatError
from scanner.format import paths
from scanner.format.digests import ContentDigest, RecordsDigest
from scanner.format.entry_type import EntryType
from scanner.format.errors import PathError
from scanner.format.records import LINE_LIMIT, Entry, RecordsSummary
from scanner.ingest import inbox
from scanner.models import Run

MAX_BYTES = 2 << 30
"""The longest document, which is read as a whole."""
NO_DIGEST = "no digest in the report"
"""The error of a file that is listed, but has neither digest nor error."""
MAX_GROUP_NAME = 200
MAX_ROOT = 600
"""As long as the columns of the models."""
MAX_ERROR_TEXT = 1000
MAX_WORK_SECONDS = 10**9
_START = re.compile(rb'\s*\{\s*"(data|signature)"\s*:')
_HEX = re.compile("[0-9a-f]+")
_KEYS = ("checksums", "errors", "files", "start_timestamp", "work_time", "group", "root_data")
_YEARS = range(2000, 2200)
_SHOWN = 200
"""Characters of a path that an error repeats."""


class LegacyReport(NamedTuple):
    """The content of a report. `signature` is the SHA3-512 of its text; paths are coded and relative to `root`."""

    signature: bytes
    group: str
    root: str
    started_at: datetime
    work_time_ns: int
    rows: list[Entry]


class LegacyTotals(NamedTuple):
    """Counts and digests of a report's lines, for the columns of its run."""

    files: int
    errors: int
    content: bytes
    records: RecordsSummary


def looks_legacy(start: bytes) -> bool:
    """Return whether a file that begins like this may be in the first format."""
    return _START.match(start) is not None


def parse_report(document: bytes) -> LegacyReport:
    """Return the report in a document whose digest is right. Raise LegacyFormatError that says what is wrong."""
    outer = _load_json(document)
    if not isinstance(outer, dict) or set(outer) != {"data", "signature"}:
        raise LegacyFormatError("a report in the old format has data and signature, and nothing else")
    if not all(isinstance(value, str) for value in outer.values()):
        raise LegacyFormatError("data and signature are texts")

    try:
        signature = hashlib.sha3_512(outer["data"].encode()).digest()
    except UnicodeEncodeError as error:
        raise LegacyFormatError("data is not Unicode text") from error
    if signature.hex() != outer["signature"]:
        raise LegacyFormatError("the digest of the data is not the one in the file: the file is damaged")

    inner = _load_json(outer["data"].encode())
    if not isinstance(inner, dict) or not set(_KEYS) <= set(inner):
        raise LegacyFormatError(f"the data lacks one of {', '.join(_KEYS)}")

    return LegacyReport(
        signature=signature,
        group=_group_name(inner["group"]),
        root=_coded_root(inner["root_data"]),
        work_time_ns=_work_time_ns(inner["work_time"]),
        started_at=_start_time(inner["start_timestamp"]),
        rows=_parse_rows(inner),
    )


def add_up(report: LegacyReport) -> LegacyTotals:
    """Return counts and digests of the report's lines."""
    content = ContentDigest()
    records = RecordsDigest(len(report.rows))
    errors = 0
    for row in report.rows:
        content.add(row)
        records.add(encode_row(row))
        if row.type == EntryType.ERROR:
            errors += 1

    return LegacyTotals(len(report.rows) - errors, errors, bytes.fromhex(content.hexdigest()), records.finish())


def encode_row(row: Entry) -> bytes:
    """Return the line of an entry of an unsigned import, as `scanner.db.report_lines` rebuilds it from the rows."""
    if row.type == EntryType.ERROR:
        return f'{{"path":{quote(row.path)},"error":{quote(row.detail or "")}}}\n'.encode()

    assert row.sha256 is not None and row.md5 is not None
    return f'{{"path":{quote(row.path)},"sha256":"{row.sha256.hex()}","md5":"{row.md5.hex()}"}}\n'.encode()


def record_lines(run: Run) -> Iterator[bytes]:
    """Return the lines of a stored report. Raise LegacyFormatError when the file is not the one that was imported."""
    with inbox.open_upload(run) as plain:
        report = parse_report(read_all(plain.read))

    # The digest in the file has no key. Only the digest in the database says that this is the file that was imported.
    if report.signature != bytes(run.statement):
        raise LegacyFormatError("the stored file is another report")
    return map(encode_row, report.rows)


def read_all(read: Callable[[int], bytes]) -> bytes:
    """Return all bytes of a source. Raise LegacyFormatError beyond MAX_BYTES."""
    pieces = []
    size = 0
    while piece := read(1 << 18):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BYTES:
            raise LegacyFormatError(f"longer than {MAX_BYTES} bytes")
    return b"".join(pieces)


def _load_json(text: bytes) -> Any:
    try:
        return json.loads(text.decode(), object_pairs_hook=_unique_pairs, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise LegacyFormatError("not UTF-8") from error
    # It is a ValueError, too, and says more than the next clause would.
    except LegacyFormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise LegacyFormatError(f"not JSON: {error}"[:200]) from error


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise LegacyFormatError("a key occurs twice")
    return members


def _refuse_constant(text: str) -> Any:
    """Refuse NaN and Infinity, which are no JSON."""
    raise LegacyFormatError(f"not a number: {text}")


def _group_name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_GROUP_NAME or not name.isprintable():
        raise LegacyFormatError(f"group is not a name of at most {MAX_GROUP_NAME} characters")
    return name.strip()


def _coded_root(root: Any) -> str:
    if not isinstance(root, str) or not root.startswith("/") or "\0" in root:
        raise LegacyFormatError("root_data is not an absolute path")

    coded_root = _encode_path(root.rstrip("/") or "/")
    if len(coded_root) > MAX_ROOT:
        raise LegacyFormatError(f"root_data is longer than {MAX_ROOT} characters")
    return coded_root


def _work_time_ns(seconds: Any) -> int:
    # A bool is an int in Python, but no number in JSON.
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds < MAX_WORK_SECONDS:
        raise LegacyFormatError("work_time is not a number of seconds")
    return int(seconds * 10**9)


def _start_time(text: Any) -> datetime:
    if not isinstance(text, str) or len(text) >= 40:
        raise LegacyFormatError("start_timestamp is not a number of seconds")

    try:
        moment = datetime.fromtimestamp(float(Decimal(text)), UTC)
    except (InvalidOperation, ValueError, OverflowError, OSError) as error:
        raise LegacyFormatError("start_timestamp is not a number of seconds") from error
    if moment.year not in _YEARS:
        raise LegacyFormatError("start_timestamp is not in the years 2000 to 2199")
    return moment


def _parse_rows(inner: dict[str, Any]) -> list[Entry]:
    """Return the entries in the order of a report. An error counts more than a digest of the same path."""
    checksums = inner["checksums"]
    errors = inner["errors"]
    files = inner["files"]
    if not (isinstance(checksums, dict) and isinstance(errors, dict) and isinstance(files, list)):
        raise LegacyFormatError("checksums and errors are objects, files is a list")

    # With the slash, so that /data2 is not below /data.
    base = inner["root_data"].rstrip("/") + "/"
    # Each loop overwrites what the ones before it said of the same path.
    rows: dict[str, Entry] = {}
    for path in _relative_paths(base, files):
        rows[path] = Entry(path, EntryType.ERROR, detail=NO_DIGEST)
    for path, digests in zip(_relative_paths(base, checksums), checksums.values(), strict=True):
        rows[path] = _file_row(path, digests)
    for path, error in zip(_relative_paths(base, errors), errors.values(), strict=True):
        rows[path] = _error_row(path, error)

    # The old list has the largest file first; history needs the order of the paths.
    return [rows[path] for path in sorted(rows)]


def _relative_paths(base: str, absolute_paths: Iterable[Any]) -> Iterator[str]:
    """Yield each absolute path, relative to the root and coded."""
    for name in absolute_paths:
        if not isinstance(name, str) or not name.startswith(base):
            raise LegacyFormatError(f"{str(name)[:_SHOWN]!r} is not below the root")

        path = _encode_path(name[len(base) :])
        try:
            paths.check(path)
        except PathError as error:
            raise LegacyFormatError(str(error)) from error
        if len(path.encode()) > LINE_LIMIT // 2:
            raise LegacyFormatError(f"{path[:_SHOWN]!r} is too long")
        yield path


def _encode_path(name: str) -> str:
    """Return the coded form of a name as Python reads names: bytes that are not UTF-8 are lone surrogates."""
    try:
        return paths.encode(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        raise LegacyFormatError(f"{name[:_SHOWN]!r} is not the name of a file") from error


def _file_row(path: str, digests: Any) -> Entry:
    if not isinstance(digests, dict):
        raise LegacyFormatError(f"{path[:_SHOWN]!r} has no digests")

    sha256 = _parse_digest(path, digests.get("sha256"), 32)
    md5 = _parse_digest(path, digests.get("md5"), 16)
    return Entry(path, EntryType.FILE, sha256=sha256, md5=md5)


def _parse_digest(path: str, text: Any, size: int) -> bytes:
    digits = ""
    if isinstance(text, str):
        # GNU tools put a backslash before the digest of a name that they escape.
        digits = text.removeprefix("\\").lower()
    if len(digits) != 2 * size or not _HEX.fullmatch(digits):
        raise LegacyFormatError(f"{path[:_SHOWN]!r} has an invalid digest")
    return bytes.fromhex(digits)


def _error_row(path: str, error: Any) -> Entry:
    if not isinstance(error, dict) or not isinstance(error.get("error"), str):
        raise LegacyFormatError(f"{path[:_SHOWN]!r} has an error without a text")

    # PostgreSQL stores no NUL, and a lone surrogate has no UTF-8.
    text: str = error["error"]
    storable = text.replace("\0", "").encode("utf-8", "backslashreplace").decode()[:MAX_ERROR_TEXT]
    return Entry(path, EntryType.ERROR, detail=storable or "no text")
