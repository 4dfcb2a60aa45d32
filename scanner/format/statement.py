"""Write, read and check the statement: what a run says of itself, and what its signature covers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, Optional, get_type_hints

from scanner.format import paths
from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.envelope import PAYLOAD_LIMIT
from scanner.format.errors import PathError, RecordError, ReportError
from scanner.format.records import INT64, MAX_BLOCKS, RecordsSummary, block_size
from scanner.format.timestamps import parse_timestamp

ALGORITHMS = ("sha256", "md5")

_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_HEX128 = re.compile(r"[0-9a-f]{128}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_TIMESTAMP = re.compile(r"2[01]\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
_UNFIT = re.compile("[\0\ud800-\udfff]")
"""Characters that a PostgreSQL text or UTF-8 cannot hold."""

Check = Callable[[Any], bool]
"""Returns whether a value from JSON is one that a member may have."""


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and bool(pattern.match(value))


def _text(max_length: int) -> Check:
    return lambda value: isinstance(value, str) and 0 < len(value) <= max_length and not _UNFIT.search(value)


def _integer(least: int, most: int = INT64[-1]) -> Check:
    # type() and not isinstance(): True is an int, too.
    return lambda value: type(value) is int and least <= value <= most


def _equals(constant: object) -> Check:
    return lambda value: value == constant


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_outcome(value: Any) -> bool:
    return value in ("complete", "failed")


def _is_timestamp(value: Any) -> bool:
    # The form first: strptime also accepts a month of one digit.
    if not isinstance(value, str) or not _TIMESTAMP.match(value):
        return False
    try:
        parse_timestamp(value)
    except ReportError:
        return False
    return True


def _is_root(value: Any) -> bool:
    """Return whether a value is the coded form of an absolute path."""
    if not isinstance(value, str) or not value.startswith("/"):
        return False
    try:
        return b"\0" not in paths.decode(value)
    except PathError:
        return False


def _text_or_empty(max_length: int) -> Check:
    return lambda value: value == "" or _text(max_length)(value)


def _one_of(*constants: str) -> Check:
    return lambda value: isinstance(value, str) and value in constants


def _list_of(check: Check, max_length: int) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= max_length and all(map(check, value))


def _object(members: dict[str, Check], optional_members: Optional[dict[str, Check]] = None) -> Check:
    """Return the check of an object with these members in this order, after which the optional ones may follow."""
    checks = {**members, **(optional_members or {})}

    def is_allowed(value: Any) -> bool:
        if not isinstance(value, dict) or not value.keys() <= checks.keys() or not value.keys() >= members.keys():
            return False
        in_order = list(value) == [key for key in checks if key in value]
        return in_order and all(checks[key](item) for key, item in value.items())

    return is_allowed


LONGEST_NAME = 100
"""Characters of a version, a name of a system, an engine, an algorithm or a profile."""
LONGEST_TEXT = 8192
"""Characters of a path, an identity or an explanation."""
MOST_ITEMS = 64
"""Tools of an engine, and folders that were left out."""

_is_tool = _object(
    {
        "algorithm": _text(LONGEST_NAME),
        "path": _text(LONGEST_TEXT),
        "version": _text_or_empty(LONGEST_TEXT),
        "profile": _text(LONGEST_NAME),
    },
    {
        "lanes": _text(LONGEST_NAME),
        "size": _integer(0),
        "ino": _integer(0),
        "mtime_ns": _integer(INT64[0]),
    },
)
_is_engine = _object(
    {
        "name": _text_or_empty(LONGEST_NAME),
        "wanted": _text_or_empty(LONGEST_NAME),
        "why": _text_or_empty(LONGEST_TEXT),
        "tools": _list_of(_is_tool, MOST_ITEMS),
    }
)
_is_collector = _object({"version": _text_or_empty(LONGEST_NAME), "python": _text_or_empty(LONGEST_NAME)})
_is_file_system = _object(
    {
        "type": _optional(_text_or_empty(LONGEST_TEXT)),
        "id": _optional(_text_or_empty(LONGEST_TEXT)),
        "mount_point": _optional(_text_or_empty(LONGEST_TEXT)),
        "accepted": _optional(_one_of("local", "operator")),
    },
    {"left_out": _list_of(_text(LONGEST_TEXT), MOST_ITEMS)},
)
_is_host = _object(
    {
        "system": _text_or_empty(LONGEST_NAME),
        "release": _text_or_empty(LONGEST_NAME),
        "boot_id": _optional(_text_or_empty(LONGEST_NAME)),
        "filesystem": _is_file_system,
    }
)


def _is_records_summary(value: Any) -> bool:
    if not isinstance(value, dict) or list(value) != ["count", "bytes", "sha3_512", "blocks"]:
        return False

    blocks = value["blocks"]
    return (
        _integer(0)(value["count"])
        and _integer(0)(value["bytes"])
        and _matches(_HEX128)(value["sha3_512"])
        and isinstance(blocks, list)
        and len(blocks) <= MAX_BLOCKS
        and all(map(_matches(_HEX64), blocks))
    )


class Statement(NamedTuple):
    """The payload of a run's envelope.

    Each member stands here once, in the order of the format: its name, its type, and the check that its JSON value has
    to pass. A field has a trailing underscore where the key is a word of Python's: `break_` is `break`.
    """

    run: Annotated[str, _matches(_UUID)]
    server: Annotated[str, _matches(_UUID)]
    replica: Annotated[str, _matches(_UUID)]
    group: Annotated[str, _matches(_UUID)]
    root: Annotated[str, _is_root]
    sequence: Annotated[int, _integer(1, 2**31 - 1)]
    """No greater than an integer of PostgreSQL."""
    previous: Annotated[Optional[str], _optional(_matches(_HEX128))]
    """Digest of the payload before this one in the chain."""
    break_: Annotated[Optional[str], _optional(_text(1000))]
    """Why the chain begins anew here."""
    base: Annotated[None, _equals(None)]
    """Always None: each report is complete by itself."""
    started_at: Annotated[str, _is_timestamp]
    finished_at: Annotated[str, _is_timestamp]
    work_time_ns: Annotated[int, _integer(0)]
    outcome: Annotated[str, _is_outcome]
    reason: Annotated[Optional[str], _optional(_text(1000))]
    """Why the run failed."""
    mode: Annotated[str, _equals("full")]
    engine: Annotated[dict[str, Any], _is_engine]
    algorithms: Annotated[tuple[str, ...], _equals(list(ALGORITHMS))]
    collector: Annotated[dict[str, Any], _is_collector]
    host: Annotated[dict[str, Any], _is_host]
    config: Annotated[str, _matches(_HEX128)]
    """Digest of what changes which paths are read: see `excludes.scope_digest`."""
    files: Annotated[int, _integer(0)]
    bytes_: Annotated[int, _integer(0)]
    errors: Annotated[int, _integer(0)]
    content: Annotated[str, _matches(_HEX128)]
    records: Annotated[RecordsSummary, _is_records_summary]

    def payload(self) -> bytes:
        """Return the canonical bytes to be signed. Raise ReportError when they are longer than PAYLOAD_LIMIT."""
        members = dict(zip(STATEMENT_KEYS, self))
        members["records"] = {
            "count": self.records.line_count,
            "bytes": self.records.byte_count,
            "sha3_512": self.records.sha3_512,
            "blocks": self.records.blocks,
        }

        payload = canonical_json(members).encode()
        if len(payload) > PAYLOAD_LIMIT:
            raise ReportError("the statement is longer than 64 KiB")
        return payload


# get_type_hints() and not __annotations__, which holds texts because of the __future__ import.
_CHECKS: dict[str, Check] = {
    field.rstrip("_"): hint.__metadata__[0] for field, hint in get_type_hints(Statement, include_extras=True).items()
}
STATEMENT_KEYS = list(_CHECKS)
"""The statement's keys, in their order."""


def read_statement(payload: bytes) -> Statement:
    """Return the statement of a payload whose signature has been verified.

    Raise ReportError, with the name of the member, when one is missing, foreign or wrong.
    """
    try:
        members = decode_json(payload)
    except RecordError as error:
        raise ReportError(f"the statement is {error}") from error

    # A closed schema: a member that this version does not know could change what the others mean.
    if not isinstance(members, dict) or list(members) != STATEMENT_KEYS:
        raise ReportError("the statement's keys are not those of the format, in their order")

    for key, is_allowed in _CHECKS.items():
        if not is_allowed(members[key]):
            raise ReportError(f"the statement's {key} is not what the format allows")

    statement = _from_members(members)
    _check_consistency(statement)
    if statement.payload() != payload:
        raise ReportError("the statement is not in its canonical form")
    return statement


def _from_members(members: dict[str, Any]) -> Statement:
    records = members["records"]
    summary = RecordsSummary(records["count"], records["bytes"], records["sha3_512"], tuple(records["blocks"]))
    # In the order of the keys, which has been checked: so the values are those of the fields.
    values = {**members, "algorithms": tuple(members["algorithms"]), "records": summary}
    return Statement._make(values.values())


def _check_consistency(statement: Statement) -> None:
    """Raise ReportError when members that are right by themselves contradict each other."""
    records = statement.records
    if (statement.outcome == "failed") != (statement.reason is not None):
        raise ReportError("a failed run has a reason, and a complete one has none")
    if statement.outcome == "failed" and records.line_count:
        raise ReportError("a failed run has no records")
    if statement.sequence == 1 and statement.previous is not None:
        raise ReportError("the first run has no run before it")

    block_count = -(-records.line_count // block_size(records.line_count))
    if len(records.blocks) != block_count:
        raise ReportError("the number of blocks does not fit the number of records")

    if statement.files + statement.errors > records.line_count:
        raise ReportError("more files and errors than records")
