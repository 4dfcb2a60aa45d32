"""Make statements, for tests of the format and of whatever carries a statement."""

from __future__ import annotations

from typing import Any

from scanner.format.digests import RecordTotals
from scanner.format.statement import ALGORITHMS, Statement

UUID = "00000000-0000-4000-8000-00000000000{}"
"""A uuid with one digit to fill in."""
UNKNOWN_FILE_SYSTEM = {"type": None, "id": None, "mount_point": None, "accepted": None}


def make_statement(**members: Any) -> Statement:
    """Return the statement of an empty tree, with some members replaced."""
    totals = RecordTotals(0)
    statement = Statement(
        run=UUID.format(1),
        server=UUID.format(2),
        replica=UUID.format(3),
        group=UUID.format(4),
        root="/srv",
        sequence=1,
        previous=None,
        break_=None,
        base=None,
        started_at="2026-01-02T03:04:05.000006Z",
        finished_at="2026-01-02T03:04:06.000006Z",
        work_time_ns=1,
        outcome="complete",
        reason=None,
        mode="full",
        engine={"name": "hashlib", "wanted": "auto", "why": "faster", "tools": []},
        algorithms=ALGORITHMS,
        collector={"version": "1", "python": "3.9"},
        host={"system": "Linux", "release": "6", "boot_id": None, "filesystem": UNKNOWN_FILE_SYSTEM},
        config="0" * 128,
        files=0,
        bytes_=0,
        errors=0,
        content=totals.content_digest.hexdigest(),
        records=totals.records_digest.finish(),
    )
    return statement._replace(**members)


TOOL = {"algorithm": "sha256", "path": "/usr/bin/sha256sum", "version": "9.1", "profile": "coreutils"}
IDENTIFIED_TOOL = {**TOOL, "lanes": "batch, stdin", "size": 1, "ino": 2, "mtime_ns": -3}


def make_engine(**members: Any) -> dict[str, Any]:
    """Return the member `engine` of a statement."""
    return {"name": "native", "wanted": "auto", "why": "faster", "tools": [TOOL], **members}


def make_host(*, filesystem: Any = UNKNOWN_FILE_SYSTEM, **members: Any) -> dict[str, Any]:
    """Return the member `host` of a statement."""
    return {"system": "Linux", "release": "6", "boot_id": None, "filesystem": filesystem, **members}


ALLOWED_OBJECTS: list[dict[str, Any]] = [
    {"engine": make_engine(name="", wanted="", why="", tools=[])},
    {"engine": make_engine(name="n" * 100, wanted="w" * 100, why="y" * 8192)},
    {"engine": make_engine(tools=[IDENTIFIED_TOOL] * 64)},
    {"engine": make_engine(tools=[{**TOOL, "mtime_ns": 0}])},
    {"engine": make_engine(tools=[{**TOOL, "version": ""}])},
    {"collector": {"version": "", "python": "3" * 100}},
    {"host": make_host(system="", release="", boot_id="")},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "type": "", "id": "", "mount_point": "/"})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "accepted": "operator", "left_out": []})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "accepted": "local", "left_out": ["a\nb"]})},
]
"""Members of a statement that are unusual and in form."""

REFUSED_OBJECTS: list[dict[str, Any]] = [
    {"engine": None},
    {"engine": []},
    {"engine": {}},
    {"engine": "native"},
    {"engine": make_engine(name=None)},
    {"engine": make_engine(name=7)},
    {"engine": make_engine(name="n" * 101)},
    {"engine": make_engine(name="n\0")},
    {"engine": make_engine(why=["faster"])},
    {"engine": make_engine(why="y" * 8193)},
    {"engine": make_engine(more="")},
    {"engine": dict(reversed(make_engine().items()))},
    {"engine": make_engine(tools={})},
    {"engine": make_engine(tools=[TOOL] * 65)},
    {"engine": make_engine(tools=["sha256sum"])},
    {"engine": make_engine(tools=[{**TOOL, "path": None}])},
    {"engine": make_engine(tools=[{**TOOL, "algorithm": ""}])},
    {"engine": make_engine(tools=[{**TOOL, "more": 1}])},
    {"engine": make_engine(tools=[{**TOOL, "size": True}])},
    {"engine": make_engine(tools=[{**TOOL, "size": -1}])},
    {"engine": make_engine(tools=[{**TOOL, "ino": 2**63}])},
    {"engine": make_engine(tools=[{**TOOL, "mtime_ns": 1, "size": 1}])},
    {"engine": make_engine(tools=[{"path": "/x", "algorithm": "md5", "version": "1", "profile": "x"}])},
    {"collector": None},
    {"collector": {"python": "3", "version": "1"}},
    {"collector": {"version": 1, "python": "3"}},
    {"collector": {"version": "1", "python": None}},
    {"host": None},
    {"host": make_host(system=None)},
    {"host": make_host(boot_id=0)},
    {"host": make_host(filesystem=None)},
    {"host": make_host(filesystem=5)},
    {"host": make_host(filesystem=[])},
    {"host": make_host(filesystem="ext4")},
    {"host": make_host(filesystem={"type": "ext4"})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "type": ["ext4"]})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "id": {}})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "mount_point": 1})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "mount_point": "\0"})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "accepted": True})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "accepted": "nobody"})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "left_out": "a"})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "left_out": [""]})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "left_out": ["a"] * 65})},
    {"host": make_host(filesystem={**UNKNOWN_FILE_SYSTEM, "mount": "/"})},
]
"""Members of a statement that no reader may accept."""
