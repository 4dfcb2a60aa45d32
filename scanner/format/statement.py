"""Write, read and check the statement: what a run says of itself, and what its signature covers."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple, Optional, get_type_hints

from scanner.format import paths
from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.envelope import PAYLOAD_LIMIT
from scanner.format.errors import PathError, RecordError, ReportError
from scanner.format.records import MAX_BLOCKS, RecordsSummary, block_size
from scanner.format.timestamps import parse_timestamp
from scanner.format.values import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_ITEMS,
    Check,
    equals,
    integer,
    list_of,
    matches,
    object_of,
    one_of,
    optional,
    text,
    text_or_empty,
)

ALGORITHMS = ("sha256", "md5")

_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_HEX128 = re.compile(r"[0-9a-f]{128}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_TIMESTAMP = re.compile(r"2[01]\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")


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


_is_tool = object_of(
    {
        "algorithm": text(LONGEST_NAME),
        "path": text(LONGEST_TEXT),
        "version": text_or_empty(LONGEST_TEXT),
        "profile": text(LONGEST_NAME),
    },
    {
        "lanes": text(LONGEST_NAME),
        "size": integer(0),
        "ino": integer(0),
        "mtime_ns": integer(),
    },
)
_is_engine = object_of(
    {
        "name": text_or_empty(LONGEST_NAME),
        "wanted": text_or_empty(LONGEST_NAME),
        "why": text_or_empty(LONGEST_TEXT),
        "tools": list_of(_is_tool, MOST_ITEMS),
    }
)
_is_collector = object_of({"version": text_or_empty(LONGEST_NAME), "python": text_or_empty(LONGEST_NAME)})
_is_file_system = object_of(
    {
        "type": optional(text_or_empty(LONGEST_TEXT)),
        "id": optional(text_or_empty(LONGEST_TEXT)),
        "mount_point": optional(text_or_empty(LONGEST_TEXT)),
        "accepted": optional(one_of("local", "operator")),
    },
    {"left_out": list_of(text(LONGEST_TEXT), MOST_ITEMS)},
)
_is_host = object_of(
    {
        "system": text_or_empty(LONGEST_NAME),
        "release": text_or_empty(LONGEST_NAME),
        "boot_id": optional(text_or_empty(LONGEST_NAME)),
        "filesystem": _is_file_system,
    }
)


def _is_records_summary(value: Any) -> bool:
    if not isinstance(value, dict) or list(value) != ["count", "bytes", "sha3_512", "blocks"]:
        return False

    blocks = value["blocks"]
    return (
        integer(0)(value["count"])
        and integer(0)(value["bytes"])
        and matches(_HEX128)(value["sha3_512"])
        and isinstance(blocks, list)
        and len(blocks) <= MAX_BLOCKS
        and all(map(matches(_HEX64), blocks))
    )


class Statement(NamedTuple):
    """The payload of a run's envelope.

    Each member stands here once, in the order of the format: its name, its type, and the check that its JSON value has
    to pass. A field has a trailing underscore where the key is a word of Python's: `break_` is `break`.
    """

    run: Annotated[str, matches(_UUID)]
    server: Annotated[str, matches(_UUID)]
    replica: Annotated[str, matches(_UUID)]
    group: Annotated[str, matches(_UUID)]
    root: Annotated[str, _is_root]
    sequence: Annotated[int, integer(1, 2**31 - 1)]
    """No greater than an integer of PostgreSQL."""
    previous: Annotated[Optional[str], optional(matches(_HEX128))]
    """Digest of the payload before this one in the chain."""
    break_: Annotated[Optional[str], optional(text(1000))]
    """Why the chain begins anew here."""
    base: Annotated[None, equals(None)]
    """Always None: each report is complete by itself."""
    started_at: Annotated[str, _is_timestamp]
    finished_at: Annotated[str, _is_timestamp]
    work_time_ns: Annotated[int, integer(0)]
    outcome: Annotated[str, _is_outcome]
    reason: Annotated[Optional[str], optional(text(1000))]
    """Why the run failed."""
    mode: Annotated[str, equals("full")]
    engine: Annotated[dict[str, Any], _is_engine]
    algorithms: Annotated[tuple[str, ...], equals(list(ALGORITHMS))]
    collector: Annotated[dict[str, Any], _is_collector]
    host: Annotated[dict[str, Any], _is_host]
    config: Annotated[str, matches(_HEX128)]
    """Digest of what changes which paths are read: see `excludes.scope_digest`."""
    files: Annotated[int, integer(0)]
    bytes_: Annotated[int, integer(0)]
    errors: Annotated[int, integer(0)]
    content: Annotated[str, matches(_HEX128)]
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
