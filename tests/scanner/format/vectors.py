"""Make the test vectors of the report format: `python -m tests.scanner.format.vectors` writes them to `docs/vectors`.

A vector is a report, good or bad, with the verdict that every reader must reach. Of a bad one only one thing is wrong:
its statement is signed, and fits its lines, as far as it can.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scanner.format import signing
from scanner.format.digests import RecordsDigest, RecordTotals
from scanner.format.entry_type import EntryType
from scanner.format.envelope import RUN_TYPE, open_envelope, seal_envelope
from scanner.format.records import Entry, Note, Record, encode_record
from scanner.format.statement import Statement
from tests.scanner.format.statements import UUID, make_engine, make_statement

DIRECTORY = Path(__file__).resolve().parents[3] / "docs" / "vectors"
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"test vectors of the report format").digest())
PUBLIC_KEY = PRIVATE_KEY.public_key().public_bytes_raw()
KEYID = signing.keyid(PUBLIC_KEY)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"another key").digest())

HOLDS = "holds"
REFUSED = "refused"


@dataclass(frozen=True)
class Vector:
    """A report and the verdict on it."""

    name: str
    verdict: str
    reason: str
    """Says what is particular about the report."""
    data: bytes
    after: str = ""
    """The name of the report before it in the chain; empty for the first one."""

    @property
    def file_name(self) -> str:
        """Return the name of the file."""
        return f"{self.name}.jsonl"


def file(path: str, content: bytes = b"content", **members: Any) -> Entry:
    """Return the entry of a file."""
    values: dict[str, Any] = {
        "size": len(content),
        "mtime_ns": 1_573_000_000_123_456_789,
        "mode": 0o100644,
        "uid": 1000,
        "gid": 1000,
        "sha256": hashlib.sha256(content).digest(),
        "md5": hashlib.md5(content).digest(),
    }
    return Entry(path, EntryType.FILE, **(values | members))


EVERY_KIND: list[Record] = [
    file("a"),
    file("a.b", b""),
    file("a/b", detail="a"),
    Entry("b", EntryType.ERROR, detail="EIO", stage="read"),
    Entry("c", EntryType.LINK, detail="../elsewhere"),
    Entry("d", EntryType.SPECIAL, detail="fifo"),
    Note("a", "confirmed", '{"against":"","ctime_same":true,"cold":false,"engines":["hashlib","native"],"reads":3}'),
    Note("b", "vanished"),
    Note("z", "skipped", '{"reason":"ENAMETOOLONG","count":2}'),
]
ODD_NAMES: list[Record] = [
    file(path)
    for path in sorted(
        ["-rf *", '"', "line\n2", "\x1b[31m", "caf\\xe9", "a\\\\b", "e\u0301", "é", "😀", "\u202egnp", "%41", "名前"]
    )
]


def lines_of(records: Sequence[Record]) -> bytes:
    """Return the lines of records as they are."""
    return b"".join(map(encode_record, records))


def sign(statement: Statement, payload: bytes | None = None, kind: str = RUN_TYPE) -> bytes:
    """Return line 1, signed with the key of the vectors."""
    return seal_envelope(kind, statement.payload() if payload is None else payload, PRIVATE_KEY.sign, KEYID)


def report(records: Sequence[Record] = (), **members: Any) -> bytes:
    """Return a report whose statement fits its records."""
    totals = RecordTotals(len(records))
    for record in records:
        totals.add(record, encode_record(record))
    values = {
        "files": totals.files,
        "bytes_": totals.size,
        "errors": totals.errors,
        "content": totals.content_digest.hexdigest(),
        "records": totals.records_digest.finish(),
    }
    return sign(make_statement(**(values | members))) + lines_of(records)


def report_of_lines(body: bytes, **members: Any) -> bytes:
    """Return a report of lines that no record has. Its statement has their digests, and counts each as a file."""
    lines = body.splitlines(keepends=True)
    digest = RecordsDigest(len(lines))
    for line in lines:
        digest.add(line)
    return sign(make_statement(**({"files": len(lines), "records": digest.finish()} | members))) + body


def replace(data: bytes, old: bytes, new: bytes) -> bytes:
    """Return bytes with one change in them. Raise ValueError when there is nothing to change."""
    if data.count(old) != 1:
        raise ValueError(f"{old!r} is there {data.count(old)} times")
    return data.replace(old, new)


def change_payload(change: Callable[[bytes], bytes]) -> bytes:
    """Return a signed report without records whose statement was changed before it was signed."""
    statement = make_statement()
    return sign(statement, change(statement.payload()))


def digest_of(data: bytes) -> str:
    """Return the digest of a report's statement, which the next one names as `previous`."""
    return open_envelope(data.split(b"\n", 1)[0] + b"\n").digest


def make_vectors() -> list[Vector]:
    """Return all vectors, in the order of their names."""
    first = report(EVERY_KIND)
    failed = report(outcome="failed", reason="the root is missing")
    second = {"sequence": 2, "run": UUID.format(9)}
    foreign = seal_envelope(RUN_TYPE, make_statement().payload(), OTHER_KEY.sign, KEYID)
    one_file = encode_record(file("a"))

    good = [
        ("empty", "a root without entries", report(), ""),
        ("every-kind", "entries and notes of every kind", first, ""),
        ("odd-names", "names with bytes that are no UTF-8, control characters and backslashes", report(ODD_NAMES), ""),
        (
            "blocks",
            "257 lines: blocks of two lines, the last one shorter",
            report([file(f"{n:03}") for n in range(257)]),
            "",
        ),
        ("failed", "a run that failed has a reason and no records", failed, ""),
        ("next", "the next report of a chain", report([file("a")], previous=digest_of(first), **second), "every-kind"),
        (
            "break",
            "a chain that begins anew says why",
            report([file("a")], previous=digest_of(first), break_="the state directory was lost", **second),
            "every-kind",
        ),
        (
            "extremes",
            "the earliest and the latest times, and the largest numbers",
            report(
                [file("a", mtime_ns=-(2**63)), file("b", mtime_ns=2**63 - 1, uid=2**32 - 1, gid=2**32 - 1)],
                started_at="2000-01-01T00:00:00.000000Z",
                finished_at="2199-12-31T23:59:59.999999Z",
            ),
            "",
        ),
        ("tools", "an engine that names its tools", report([file("a")], engine=make_engine()), ""),
    ]
    bad = [
        ("foreign-signature", "the signature is of another key than the one that it names", foreign),
        (
            "changed-line",
            "a digit of a digest differs from what was signed",
            first.replace(b'"uid":1000', b'"uid":1001', 1),
        ),
        ("missing-line", "the last line is missing", first[: first.rindex(b"\n", 0, -1) + 1]),
        (
            "further-line",
            "a line follows that the statement does not count",
            first + encode_record(Note("zz", "vanished")),
        ),
        ("torn-line", "the last line has no end", first[:-1]),
        ("order", "entries are not in the order of their paths", report_of_lines(encode_record(file("b")) + one_file)),
        ("twice", "a path is there twice", report_of_lines(one_file + one_file)),
        (
            "note-first",
            "a note comes before an entry",
            report_of_lines(encode_record(Note("a", "vanished")) + one_file),
        ),
        ("wrong-count", "there are more files than the statement says", report([file("a"), file("b")], files=1)),
        ("wrong-content", "the digest of the contents is of others", report([file("a")], content="0" * 128)),
        ("parent-path", "a path leads upwards", report_of_lines(replace(one_file, b'"a"', b'"../a"'))),
        ("absolute-path", "a path begins with a slash", report_of_lines(replace(one_file, b'"a"', b'"/a"'))),
        (
            "valid-bytes-coded",
            "a byte that is UTF-8 is coded as if it were none",
            report_of_lines(replace(one_file, b'"a"', b'"\\\\x41"')),
        ),
        (
            "blank",
            "a line is not in canonical form: a blank",
            report_of_lines(replace(one_file, b'"size":', b'"size": ')),
        ),
        (
            "fraction",
            "a number is written as a fraction",
            report_of_lines(replace(one_file, b'"size":7', b'"size":7.0')),
        ),
        (
            "large-number",
            "a number has more than 64 bits",
            report_of_lines(replace(one_file, b'"uid":1000', b'"uid":9223372036854775808')),
        ),
        (
            "unknown-member",
            "an entry has a member that the format does not know",
            report_of_lines(replace(one_file, b"}", b',"x":1}')),
        ),
        (
            "nul-in-note",
            "a text of a note has a NUL",
            report_of_lines(b'{"note":"confirmed","path":"a","against":"\\u0000"}\n', files=0),
        ),
        (
            "unknown-note",
            "a note of a kind that the format does not know",
            report_of_lines(b'{"note":"hello","path":"a"}\n', files=0),
        ),
        (
            "open-host",
            "the host has a member that the format does not know",
            report(host={**make_statement().host, "x": 1}),
        ),
        (
            "number-as-type",
            "the type of the file system is a number",
            report(
                host={
                    **make_statement().host,
                    "filesystem": {"type": 5, "id": None, "mount_point": None, "accepted": None},
                }
            ),
        ),
        (
            "statement-order",
            "two members of the statement changed places",
            change_payload(lambda text: replace(text, b'"files":0,"bytes":0', b'"bytes":0,"files":0')),
        ),
        ("failed-with-records", "a failed run has a record", report([file("a")], outcome="failed", reason="x")),
        ("early-year", "a time before the year 2000", report(started_at="1999-12-31T23:59:59.999999Z")),
        (
            "other-purpose",
            "the envelope is of another kind",
            sign(make_statement(), kind="application/vnd.backup-syncer.reply+json"),
        ),
    ]
    vectors = [
        Vector(f"good-{name}", HOLDS, reason, data, after and f"good-{after}") for name, reason, data, after in good
    ]
    vectors += [Vector(f"bad-{name}", REFUSED, reason, data) for name, reason, data in bad]
    return sorted(vectors, key=lambda vector: vector.name)


def index(vectors: Sequence[Vector]) -> bytes:
    """Return the content of `vectors.json`, which says what is in each file."""
    reports = [
        {"file": vector.file_name, "verdict": vector.verdict, "reason": vector.reason}
        | ({"after": f"{vector.after}.jsonl"} if vector.after else {})
        for vector in vectors
    ]
    members = {"public_key": PUBLIC_KEY.hex(), "keyid": KEYID, "reports": reports}
    return json.dumps(members, ensure_ascii=False, indent=1).encode() + b"\n"


def main() -> None:
    """Write all vectors, and remove those that are no more."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    vectors = make_vectors()
    for path in DIRECTORY.glob("*.jsonl"):
        path.unlink()
    for vector in vectors:
        (DIRECTORY / vector.file_name).write_bytes(vector.data)
    (DIRECTORY / "vectors.json").write_bytes(index(vectors))
    print(f"{len(vectors)} reports in {DIRECTORY}")


if __name__ == "__main__":
    main()
