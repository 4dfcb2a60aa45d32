"""Reports in the project's first form: one JSON document whose sum has no key, so that nobody vouches for it.

`{"data": "<json text>", "signature": "<hex SHA3-512 of that text>"}`; the text holds `checksums` {absolute path:
{"sha256", "md5"}}, `errors` {absolute path: {"error": text}}, `files` [absolute paths], `start_timestamp` (seconds, a
string), `work_time` (float seconds), `group` and `root_data` (the root). The sums come from GNU tools, which put a
backslash before the digest of a name that they had to escape. Sizes and times are unknown: a line of a file has its
digests alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring as quote
from typing import Any, NamedTuple

from scanner.format import paths
from scanner.format.digests import ContentDigest, RecordsDigest
from scanner.format.entry_type import EntryType
from scanner.format.errors import PathError
from scanner.format.records import LINE_LIMIT, Entry, RecordsSummary
from scanner.ingest import inbox
from scanner.models import Run

LIMIT = 2 << 30
"""Bytes: the longest document, which is read as a whole."""
NOTHING_SAID = "no digest in the report"
"""The error of a file that is listed and of which nothing else is said."""
_START = re.compile(rb'\s*\{\s*"(data|signature)"\s*:')
_HEX = re.compile("[0-9a-f]+")
_KEYS = ("checksums", "errors", "files", "start_timestamp", "work_time", "group", "root_data")
_YEARS = range(2000, 2200)


class OldFormError(ValueError):
    """The document is not in the old form, or what it says cannot be."""


class OldReport(NamedTuple):
    """What an old report says. `signature` is the SHA3-512 of its text; paths are coded and below `root`."""

    signature: bytes
    group: str
    root: str
    started_at: datetime
    work_time_ns: int
    rows: list[Entry]


class Sums(NamedTuple):
    """What its lines come to: the columns of its run."""

    files: int
    errors: int
    content: bytes
    records: RecordsSummary


def looks_old(start: bytes) -> bool:
    """Whether a file that begins so may be in the old form."""
    return _START.match(start) is not None


def read(document: bytes) -> OldReport:
    """The report in a document whose sum holds; OldFormError says what is wrong with it."""
    outer = _load(document)
    if not isinstance(outer, dict) or set(outer) != {"data", "signature"}:
        raise OldFormError("a report in the old form has data and signature, and nothing else")
    if not all(isinstance(value, str) for value in outer.values()):
        raise OldFormError("data and signature are texts")
    try:
        signature = hashlib.sha3_512(outer["data"].encode()).digest()
    except UnicodeEncodeError as error:
        raise OldFormError("data is not Unicode text") from error
    if signature.hex() != outer["signature"]:
        raise OldFormError("the sum of the data is not the one that stands beside it: the file is damaged")
    inner = _load(outer["data"].encode())
    if not isinstance(inner, dict) or not set(_KEYS) <= set(inner):
        raise OldFormError(f"the data lack one of {', '.join(_KEYS)}")
    return OldReport(signature, *_head(inner), _rows(inner))


def sums(report: OldReport) -> Sums:
    """Counts and digests of the report's lines."""
    content, digest = ContentDigest(), RecordsDigest(len(report.rows))
    for row in report.rows:
        content.add(row)
        digest.add(encode(row))
    errors = sum(row.type == EntryType.ERROR for row in report.rows)
    return Sums(len(report.rows) - errors, errors, bytes.fromhex(content.hexdigest()), digest.finish())


def encode(row: Entry) -> bytes:
    """The line of an entry of an unsigned import, as `queries.record_lines` writes it, too."""
    if row.type == EntryType.ERROR:
        return f'{{"path":{quote(row.path)},"error":{quote(row.detail or "")}}}\n'.encode()
    assert row.sha256 is not None and row.md5 is not None
    return f'{{"path":{quote(row.path)},"sha256":"{row.sha256.hex()}","md5":"{row.md5.hex()}"}}\n'.encode()


def lines(run: Run) -> Iterator[bytes]:
    """The lines of a kept report; OldFormError when the kept bytes are not what was imported."""
    with inbox.read_upload(run) as plain:
        report = read(read_all(plain.read))
    if report.signature != bytes(run.statement):
        raise OldFormError("the kept bytes are another report")
    return map(encode, report.rows)


def read_all(read: Callable[[int], bytes]) -> bytes:
    """All that `read(n)` gives; OldFormError beyond LIMIT."""
    pieces, size = [], 0
    while piece := read(1 << 18):
        pieces.append(piece)
        size += len(piece)
        if size > LIMIT:
            raise OldFormError(f"longer than {LIMIT} bytes")
    return b"".join(pieces)


def _load(text: bytes) -> Any:
    try:
        return json.loads(text.decode(), object_pairs_hook=_pairs, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise OldFormError("not UTF-8") from error
    except OldFormError:
        raise
    except (ValueError, RecursionError) as error:
        raise OldFormError(f"not JSON: {error}"[:200]) from error


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise OldFormError("a key stands twice")
    return members


def _no_number(text: str) -> Any:
    raise OldFormError(f"not a number: {text}")


def _head(inner: dict[str, Any]) -> tuple[str, str, datetime, int]:
    """Group, coded root, start and work time."""
    group, root, work_time = inner["group"], inner["root_data"], inner["work_time"]
    if not isinstance(group, str) or not group.strip() or len(group) > 200 or not group.isprintable():
        raise OldFormError("group is no name of at most 200 characters")
    if not isinstance(root, str) or not root.startswith("/") or "\0" in root:
        raise OldFormError("root_data is no absolute path")
    coded = _coded(root.rstrip("/") or "/")
    if len(coded) > 600:
        raise OldFormError("root_data is longer than 600 characters")
    if isinstance(work_time, bool) or not isinstance(work_time, (int, float)) or not 0 <= work_time < 10**9:
        raise OldFormError("work_time is no number of seconds")
    return group.strip(), coded, _moment(inner["start_timestamp"]), int(work_time * 10**9)


def _moment(text: Any) -> datetime:
    try:
        seconds = Decimal(text) if isinstance(text, str) and len(text) < 40 else Decimal("NaN")
        moment = datetime.fromtimestamp(float(seconds), timezone.utc)
    except (InvalidOperation, ValueError, OverflowError, OSError) as error:
        raise OldFormError("start_timestamp is no number of seconds") from error
    if moment.year not in _YEARS:
        raise OldFormError("start_timestamp is of no year from 2000 to 2199")
    return moment


def _rows(inner: dict[str, Any]) -> list[Entry]:
    """The entries in the order of a report. Of a path with sum and error the error counts."""
    checksums, errors, files = inner["checksums"], inner["errors"], inner["files"]
    if not (isinstance(checksums, dict) and isinstance(errors, dict) and isinstance(files, list)):
        raise OldFormError("checksums and errors are objects, files is a list")
    base = inner["root_data"].rstrip("/") + "/"
    rows = {path: Entry(path, EntryType.ERROR, detail=NOTHING_SAID) for path in _below(base, files)}
    rows |= {path: _file(path, sums) for path, sums in zip(_below(base, checksums), checksums.values())}
    rows |= {path: _error(path, said) for path, said in zip(_below(base, errors), errors.values())}
    return [rows[path] for path in sorted(rows)]


def _below(base: str, absolute: Iterable[Any]) -> Iterator[str]:
    """Each absolute path, relative to the root and coded."""
    for name in absolute:
        if not isinstance(name, str) or not name.startswith(base):
            raise OldFormError(f"{str(name)[:200]!r} is not below the root")
        path = _coded(name[len(base) :])
        try:
            paths.check(path)
        except PathError as error:
            raise OldFormError(str(error)) from error
        if len(path.encode()) > LINE_LIMIT // 2:
            raise OldFormError(f"{path[:200]!r} is too long")
        yield path


def _coded(name: str) -> str:
    """The coded form of a name as Python reads names: bytes that are no UTF-8 stand as lone surrogates."""
    try:
        return paths.encode(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        raise OldFormError(f"{name[:200]!r} is no name of a file") from error


def _file(path: str, said: Any) -> Entry:
    if not isinstance(said, dict):
        raise OldFormError(f"{path[:200]!r} has no sums")
    sha256, md5 = _digest(path, said.get("sha256"), 32), _digest(path, said.get("md5"), 16)
    return Entry(path, EntryType.FILE, sha256=sha256, md5=md5)


def _digest(path: str, text: Any, size: int) -> bytes:
    digits = text.removeprefix("\\").lower() if isinstance(text, str) else ""
    if len(digits) != 2 * size or not _HEX.fullmatch(digits):
        raise OldFormError(f"{path[:200]!r} has a sum that is none")
    return bytes.fromhex(digits)


def _error(path: str, said: Any) -> Entry:
    text = said.get("error") if isinstance(said, dict) else None
    if not isinstance(text, str):
        raise OldFormError(f"{path[:200]!r} has an error without a text")
    shown = text.replace("\0", "").encode("utf-8", "backslashreplace").decode()[:1000]
    return Entry(path, EntryType.ERROR, detail=shown or "no text")
