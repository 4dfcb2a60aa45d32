"""Statements have one form and a closed set of members, each within its range."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from scanner.format.canonical_json import canonical_json
from scanner.format.errors import ReportError
from scanner.format.records import RecordsSummary
from scanner.format.statement import STATEMENT_KEYS, read_statement
from tests.scanner.format.statements import ALLOWED_OBJECTS, REFUSED_OBJECTS, UUID, make_statement

MEMBERS: dict[str, Any] = json.loads(make_statement().payload())
RECORDS = MEMBERS["records"]


def payload_with(**members: Any) -> bytes:
    """Return a payload with some members replaced or added, in the canonical form."""
    return canonical_json({**MEMBERS, **members}).encode()


def test_round_trip() -> None:
    """A payload gives the statement that it was made of."""
    assert read_statement(make_statement().payload()) == make_statement()


@pytest.mark.parametrize(
    "members",
    [
        {"run": "x"},
        {"run": UUID.format(1).upper().replace("0", "A")},
        {"root": "srv"},
        {"root": "/a\0"},
        {"root": 1},
        {"root": "/\\"},
        {"sequence": 0},
        {"sequence": True},
        {"sequence": 2**31},
        {"sequence": "1"},
        {"previous": "0" * 127},
        {"previous": "A" * 128},
        {"previous": "0" * 128},
        {"break": ""},
        {"break": "x" * 1001},
        {"base": "0" * 128},
        {"started_at": "2026-01-02T03:04:05Z"},
        {"started_at": "2026-02-30T03:04:05.000000Z"},
        {"started_at": "300000-01-01T00:00:00.000000Z"},
        {"finished_at": None},
        {"work_time_ns": -1},
        {"outcome": "failed"},
        {"outcome": "done"},
        {"reason": "but complete"},
        {"mode": "delta"},
        {"algorithms": ["md5", "sha256"]},
        {"config": "0"},
        {"files": -1},
        {"files": 1},
        {"errors": 1},
        {"content": ""},
        {"records": {}},
        {"records": {**RECORDS, "count": 1}},
        {"records": {**RECORDS, "blocks": ["0" * 64]}},
        {"records": {**RECORDS, "more": 1}},
        {"records": {**RECORDS, "count": 2**63}},
        {"more": 1},
    ],
)
def test_refused_members(members: dict[str, Any]) -> None:
    """A member of another type or out of its range is refused, and so is a foreign one."""
    with pytest.raises(ReportError):
        read_statement(payload_with(**members))


@pytest.mark.parametrize("members", REFUSED_OBJECTS, ids=repr)
def test_refused_objects(members: dict[str, Any]) -> None:
    """An engine, a collector or a host in any other form is refused."""
    with pytest.raises(ReportError):
        read_statement(payload_with(**members))


@pytest.mark.parametrize("members", ALLOWED_OBJECTS, ids=repr)
def test_allowed_objects(members: dict[str, Any]) -> None:
    """Each optional member may be there, and each text may be as long as it may."""
    payload = payload_with(**members)
    assert read_statement(payload).payload() == payload


@pytest.mark.parametrize("key", STATEMENT_KEYS)
def test_missing_member(key: str) -> None:
    """A statement without one of its members is refused."""
    incomplete = {name: value for name, value in MEMBERS.items() if name != key}
    with pytest.raises(ReportError):
        read_statement(canonical_json(incomplete).encode())


@pytest.mark.parametrize("key", STATEMENT_KEYS)
def test_misplaced_member(key: str) -> None:
    """A statement with its members in another order is refused."""
    others = {name: value for name, value in MEMBERS.items() if name != key}
    if key == STATEMENT_KEYS[-1]:
        reordered = {key: MEMBERS[key], **others}
    else:
        reordered = {**others, key: MEMBERS[key]}
    with pytest.raises(ReportError):
        read_statement(canonical_json(reordered).encode())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b" " + text,
        lambda text: text.replace(b"/srv", b"\\/srv"),
        lambda text: text + b"\n",
    ],
)
def test_one_form(change: Callable[[bytes], bytes]) -> None:
    """The same values in another form are refused: bytes were signed."""
    with pytest.raises(ReportError):
        read_statement(change(make_statement().payload()))


def test_failed_run() -> None:
    """A failed run has a reason and no records."""
    failed = make_statement(outcome="failed", reason="root missing")
    assert read_statement(failed.payload()).reason == "root missing"
    with_records = failed._replace(records=RecordsSummary(1, 1, "0" * 128, ("0" * 64,)))
    with pytest.raises(ReportError, match="no records"):
        read_statement(with_records.payload())


def test_longest_statement() -> None:
    """A statement beyond its limit is not written."""
    with pytest.raises(ReportError, match="64 KiB"):
        make_statement(root="/" + "x" * 70_000).payload()
