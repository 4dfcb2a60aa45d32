"""Check report files of backup_syncer with a second implementation of their format.

The format is described in docs/en/report-format.md; comments of the form "Section: …" name its sections. Of several
reports of one replica their chain is checked as well, and on request a directory is compared with the newest one.

This program shares no code with the project: a mistake in the project's own reader cannot hide here. It needs Python
3.9 or newer, and the package `cryptography` to check signatures.

An auditor may read it from top to bottom: names of files, line 1 (envelope, signature, statement), the lines below it,
what they add up to, the chain, the directory, the command line.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from io import BufferedIOBase
from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISLNK, S_ISREG, S_ISSOCK
from typing import Any

DESCRIPTION = "Check report files of backup_syncer with a second implementation of their format."

KIB = 1024
READ_SIZE = 1024 * KIB


class Outcome(IntEnum):
    """Result of one check, also the exit code of the program."""

    OK = 0
    MISMATCH = 1
    NOT_CHECKED = 2


PREFIXES = {Outcome.OK: "", Outcome.MISMATCH: "WRONG: ", Outcome.NOT_CHECKED: "NOT CHECKED: "}
SUMMARIES = {
    Outcome.OK: "everything holds",
    Outcome.MISMATCH: "something DOES NOT HOLD",
    Outcome.NOT_CHECKED: "not everything could be checked",
}


class CheckFailed(Exception):
    """Something does not hold; the message says what."""


class Output:
    """Print the result of each check, and remember every outcome."""

    def __init__(self) -> None:
        self.outcomes: set[Outcome] = set()

    @property
    def outcome(self) -> Outcome:
        """Return the outcome of all checks together: a mismatch outweighs what could not be checked."""
        if Outcome.MISMATCH in self.outcomes:
            return Outcome.MISMATCH
        return max(self.outcomes, default=Outcome.OK)

    def say(self, text: str) -> None:
        """Print something that holds."""
        self._print(text, Outcome.OK)

    def wrong(self, text: str) -> None:
        """Print something that does not hold."""
        self._print(text, Outcome.MISMATCH)

    def not_checked(self, text: str) -> None:
        """Print something that could not be checked."""
        self._print(text, Outcome.NOT_CHECKED)

    def _print(self, text: str, outcome: Outcome) -> None:
        self.outcomes.add(outcome)
        # Names come from a report or a disk. A terminal must not obey the control characters in them.
        harmless = "".join(char if char.isprintable() else _escaped(char) for char in text)
        line = f"{PREFIXES[outcome]}{harmless}\n"
        sys.stdout.buffer.write(line.encode(sys.stdout.encoding, "backslashreplace"))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


# --- Names of files ---------------------------------------------------------------------------------------------------
# Section: Names and paths.

ESCAPE_IN_NAME = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")


def encode_name(name: bytes) -> str:
    r"""Return the coded form of a name: UTF-8 stays text, any other byte becomes `\xhh`, a backslash becomes two."""
    return name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def decode_name(text: str) -> bytes:
    """Return the bytes of a coded name. Raise CheckFailed unless `text` is exactly what `encode_name` makes of them."""
    name = text.encode()
    if "\\" in text:
        name = ESCAPE_IN_NAME.sub(_unescaped, name)
    if encode_name(name) != text or b"\0" in name:
        raise CheckFailed(f"not a coded name: {text[:200]}")
    return name


def _unescaped(match: re.Match[bytes]) -> bytes:
    digits = match[1]
    if digits is None:
        return b"\\"
    return bytes.fromhex(digits.decode())


def check_path(text: str) -> None:
    """Raise CheckFailed unless `text` is a coded relative path: no part of it is empty, `.` or `..`."""
    parts = decode_name(text).split(b"/")
    if b"" in parts or b"." in parts or b".." in parts:
        raise CheckFailed(f"not a relative path: {text[:200]}")


# --- Canonical JSON ---------------------------------------------------------------------------------------------------
# Section: Canonical JSON. Every value has one form, so a regular expression can say what is allowed.

# Characters that stand for themselves: no quote, no backslash, no control character, no surrogate.
PLAIN = r'[^"\\\x00-\x1f\ud800-\udfff]*'
# The only escapes: what JSON demands, in its shortest form. U+0000 is not among them: no text holds NUL.
ESCAPE = r'\\(?:["\\bfnrt]|u00(?:0[1-7bef]|1[0-9a-f]))'
TEXT = rf'"(?!"){PLAIN}(?:{ESCAPE}{PLAIN})*"'
TEXT_OR_EMPTY = rf'(?:""|{TEXT})'
NATURAL = "(?:0|[1-9][0-9]{0,18})"
INTEGER = "(?:0|-?[1-9][0-9]{0,18})"
HEX_MD5 = '"[0-9a-f]{32}"'
HEX_SHA256 = '"[0-9a-f]{64}"'
HEX_SHA3_512 = '"[0-9a-f]{128}"'
UUID = '"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"'
TIME = r'"2[01][0-9]{2}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}\.[0-9]{6}Z"'
BASE64 = '"((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)"'


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: no spaces, keys as they stand, escapes only where JSON demands them."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


# --- Line 1: envelope and signature -----------------------------------------------------------------------------------
# Sections: Envelope, Signature.

PAYLOAD_TYPE = "application/vnd.backup-syncer.run.v1+json"
ENVELOPE_LIMIT = 128 * KIB
PAYLOAD_LIMIT = 64 * KIB
SIGNATURE_SIZE = 64
ENVELOPE_LINE = re.compile(
    rf'{{"payloadType":"([^"]*)","payload":{BASE64},"signatures":\[{{"keyid":"([^"]*)","sig":{BASE64}}}\]}}\n'
)


@dataclass(frozen=True)
class Envelope:
    """Line 1 taken apart. Nothing in it is trusted before its signature is checked."""

    payload: bytes
    keyid: str
    signature: bytes

    @property
    def signed_bytes(self) -> bytes:
        """Return what was signed: DSSE's pre-authentication encoding (PAE) of payload type and payload."""
        return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(self.payload), self.payload)


def read_envelope(line: bytes) -> Envelope:
    """Return the envelope in line 1. Raise CheckFailed unless it is one of a run, in its canonical form."""
    match = ENVELOPE_LINE.fullmatch(line.decode("utf-8", "replace"))
    if match is None or match[1] != PAYLOAD_TYPE or not re.fullmatch(HEX_SHA256, f'"{match[3]}"'):
        raise CheckFailed("line 1 is not a DSSE envelope of a run in its canonical form")

    payload = base64.b64decode(match[2])
    signature = base64.b64decode(match[4])
    # Decoders ignore the unused bits of the last character: only one spelling is allowed.
    if base64.b64encode(payload).decode() != match[2] or base64.b64encode(signature).decode() != match[4]:
        raise CheckFailed("bad base64")
    if len(signature) != SIGNATURE_SIZE or len(payload) > PAYLOAD_LIMIT:
        raise CheckFailed("a signature or a statement of no such size")

    return Envelope(payload, match[3], signature)


def check_signature(envelope: Envelope, keys: dict[str, bytes], output: Output) -> None:
    """Check the signature with the key that the envelope names. Raise CheckFailed when that key did not sign it.

    `keys` are public keys by key id. The key id is a hint: what proves the origin is that whoever runs this program
    got the public key from its owner, and that the signature holds under it.
    """
    if envelope.keyid not in keys:
        output.not_checked(
            f"the signature, of key {envelope.keyid}: nobody vouches for what follows until --key names its public key"
        )
        return

    # Imported here, so that everything but the signature can be checked without the package.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public_key = Ed25519PublicKey.from_public_bytes(keys[envelope.keyid])
    try:
        public_key.verify(envelope.signature, envelope.signed_bytes)
    except InvalidSignature as error:
        raise CheckFailed(f"key {envelope.keyid} did not sign this statement") from error
    output.say(f"signed by the given key {envelope.keyid}")


# --- The statement ----------------------------------------------------------------------------------------------------
# Sections: Statement, Failed runs, Limits.

BLOCKS = rf"\[(?:{HEX_SHA256}(?:,{HEX_SHA256})*)?\]"
RECORDS = rf'{{"count":{NATURAL},"bytes":{NATURAL},"sha3_512":{HEX_SHA3_512},"blocks":{BLOCKS}}}'
TOOL = (
    rf'{{"algorithm":{TEXT},"path":{TEXT},"version":{TEXT_OR_EMPTY},"profile":{TEXT}(?:,"lanes":{TEXT})?'
    rf'(?:,"size":{NATURAL})?(?:,"ino":{NATURAL})?(?:,"mtime_ns":{INTEGER})?}}'
)
ENGINE = (
    rf'{{"name":{TEXT_OR_EMPTY},"wanted":{TEXT_OR_EMPTY},"why":{TEXT_OR_EMPTY},"tools":\[(?:{TOOL}(?:,{TOOL})*)?\]}}'
)
COLLECTOR = rf'{{"version":{TEXT_OR_EMPTY},"python":{TEXT_OR_EMPTY}}}'
TEXT_OR_NULL = f"(?:null|{TEXT_OR_EMPTY})"
FILE_SYSTEM = (
    rf'{{"type":{TEXT_OR_NULL},"id":{TEXT_OR_NULL},"mount_point":{TEXT_OR_NULL},'
    rf'"accepted":(?:null|"local"|"operator")(?:,"left_out":\[(?:{TEXT}(?:,{TEXT})*)?\])?}}'
)
HOST = rf'{{"system":{TEXT_OR_EMPTY},"release":{TEXT_OR_EMPTY},"boot_id":{TEXT_OR_NULL},"filesystem":{FILE_SYSTEM}}}'
# Each member in its order, with the form of its canonical JSON.
STATEMENT_MEMBERS = {
    "run": UUID,
    "server": UUID,
    "replica": UUID,
    "group": UUID,
    "root": TEXT,
    "sequence": NATURAL,
    "previous": f"null|{HEX_SHA3_512}",
    "break": f"null|{TEXT}",
    "base": "null",
    "started_at": TIME,
    "finished_at": TIME,
    "work_time_ns": NATURAL,
    "outcome": '"complete"|"failed"',
    "reason": f"null|{TEXT}",
    "mode": '"full"',
    "engine": ENGINE,
    "algorithms": r'\["sha256","md5"\]',
    "collector": COLLECTOR,
    "host": HOST,
    "config": HEX_SHA3_512,
    "files": NATURAL,
    "bytes": NATURAL,
    "errors": NATURAL,
    "content": HEX_SHA3_512,
    "records": RECORDS,
}
# The lengths that a regular expression over JSON does not count: characters of texts, and items of lists.
LONGEST_NAME = 100
LONGEST_TEXT = 8192
MOST_ITEMS = 64
LONGEST_REASON = 1000
MOST_BLOCKS = 256


@dataclass(frozen=True)
class RecordSums:
    """Summary of all lines below line 1, as the statement has it."""

    count: int
    bytes: int
    sha3_512: str
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """The members of a statement that are compared with something, and the digest of the statement itself."""

    digest: str
    server: str
    replica: str
    root: str
    sequence: int
    previous: str | None
    break_reason: str | None
    finished_at: str
    outcome: str
    failure: str | None
    files: int
    bytes: int
    errors: int
    content: str
    records: RecordSums


def read_statement(payload: bytes) -> Statement:
    """Return the statement in a payload. Raise CheckFailed unless its members, order, form and bounds are right."""
    members = _read_members(payload)
    sums = members["records"]
    statement = Statement(
        digest=hashlib.sha3_512(payload).hexdigest(),
        server=members["server"],
        replica=members["replica"],
        root=members["root"],
        sequence=members["sequence"],
        previous=members["previous"],
        break_reason=members["break"],
        finished_at=members["finished_at"],
        outcome=members["outcome"],
        failure=members["reason"],
        files=members["files"],
        bytes=members["bytes"],
        errors=members["errors"],
        content=members["content"],
        records=RecordSums(sums["count"], sums["bytes"], sums["sha3_512"], tuple(sums["blocks"])),
    )
    decode_name(statement.root)
    if not statement.root.startswith("/"):
        raise CheckFailed("the root")
    _check_numbers(statement, members["work_time_ns"])
    _check_together(statement)
    return statement


def _read_members(payload: bytes) -> dict[str, Any]:
    """Return the members of a statement, each of which has the form that the format demands of it alone."""
    try:
        # A float becomes an integer or an error here; either way the text is then not the canonical one.
        members: Any = json.loads(payload.decode(), parse_float=int, parse_constant=int)
        if canonical(members).encode() != payload:
            raise CheckFailed("the statement is not in its canonical form")
        if not isinstance(members, dict) or list(members) != list(STATEMENT_MEMBERS):
            raise CheckFailed("the statement's keys, or their order")
        for key, form in STATEMENT_MEMBERS.items():
            _check_member(key, form, members[key])
    except (ValueError, RecursionError) as error:
        raise CheckFailed(f"the statement is not what the format allows: {error}") from error
    return members


def _check_member(key: str, form: str, value: Any) -> None:
    if not re.fullmatch(form, canonical(value)):
        raise CheckFailed(f"the statement's {key}")
    if key == "engine":
        _check_lengths(key, [value["name"], value["wanted"]], [value["why"]], value["tools"])
        for tool in value["tools"]:
            _check_tool(tool)
    if key == "collector":
        _check_lengths(key, value.values())
    if key == "host":
        file_system = value["filesystem"]
        left_out = file_system.get("left_out", [])
        long_texts = [file_system["type"], file_system["id"], file_system["mount_point"], *left_out]
        _check_lengths(key, [value["system"], value["release"], value["boot_id"]], long_texts, left_out)
    if form == TIME:
        datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%f%z")  # raises ValueError for a day that does not exist


def _check_tool(tool: dict[str, Any]) -> None:
    names = [tool["algorithm"], tool["profile"], tool.get("lanes")]
    _check_lengths("tools", names, [tool["path"], tool["version"]])
    numbers = [tool[key] for key in ("size", "ino", "mtime_ns") if key in tool]
    if not all(-(2**63) <= number < 2**63 for number in numbers):
        raise CheckFailed("a number of the statement's tools is out of its range")


def _check_lengths(
    key: str, names: Iterable[str | None], texts: Iterable[str | None] = (), items: Sequence[Any] = ()
) -> None:
    """Raise CheckFailed for a name, a text or a list of a member that is longer than the format allows."""
    if any(len(name or "") > LONGEST_NAME for name in names):
        raise CheckFailed(f"a name in {key} is too long")
    if any(len(text or "") > LONGEST_TEXT for text in texts) or len(items) > MOST_ITEMS:
        raise CheckFailed(f"a text or a list in {key} is too long")


def _check_numbers(statement: Statement, work_time_ns: int) -> None:
    sums = statement.records
    largest = max(sums.count, sums.bytes, work_time_ns, statement.files, statement.bytes, statement.errors)
    # Only the first run has nothing before it; a later one may have null, which no chain accepts.
    least_sequence = 1
    if statement.previous is not None:
        least_sequence = 2
    if largest >= 2**63 or not least_sequence <= statement.sequence < 2**31:
        raise CheckFailed("a number is out of its range")


def _check_together(statement: Statement) -> None:
    """Raise CheckFailed where two members contradict each other."""
    sums = statement.records
    failed = statement.outcome == "failed"
    if failed != (statement.failure is not None):
        raise CheckFailed("who failed has a reason, and nobody else")
    for text in (statement.break_reason, statement.failure):
        if text is not None and len(text) > LONGEST_REASON:
            raise CheckFailed("break or reason is too long")
    if statement.files + statement.errors > sums.count or (failed and sums.count):
        raise CheckFailed("the counts do not fit")
    if len(sums.blocks) != _ceil_divide(sums.count, block_size(sums.count)):
        raise CheckFailed("the number of blocks does not fit")


def block_size(count: int) -> int:
    """Return how many lines each block of `count` lines has, the last one excepted. Section: Blocks."""
    return max(1, _ceil_divide(count, MOST_BLOCKS))


def _ceil_divide(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


# --- The lines below line 1 -------------------------------------------------------------------------------------------
# Sections: Records, Entries, Notes, Order.

LINE_LIMIT = 64 * KIB

FILE_MEMBERS = (
    rf'"size":{NATURAL},"mtime_ns":{INTEGER},"mode":{NATURAL},"uid":{NATURAL},"gid":{NATURAL},'
    rf'"sha256":{HEX_SHA256},"md5":{HEX_MD5}(?:,"hardlink":{TEXT})?'
)
LINK_MEMBERS = rf'"link":{TEXT}'
ERROR_MEMBERS = '"error":"E[A-Z0-9]{1,30}","stage":"(?:list|stat|open|read)"'
SPECIAL_MEMBERS = '"special":"(?:fifo|socket|block|char|mount)"'
ENTRY_LINE = re.compile(rf'{{"path":{TEXT},(?:{FILE_MEMBERS}|{LINK_MEMBERS}|{ERROR_MEMBERS}|{SPECIAL_MEMBERS})}}\n')

BOOLEAN = "(?:true|false)"
REREAD_MEMBERS = {
    "against": TEXT_OR_EMPTY,
    "ctime_same": BOOLEAN,
    "cold": BOOLEAN,
    "engines": rf"\[(?:{TEXT}(?:,{TEXT})*)?\]",
    "reads": NATURAL,
}
# The kinds of notes, each with its further members in their order. Any of them may be left out.
NOTE_MEMBERS = {
    "confirmed": {**REREAD_MEMBERS, "was_path": TEXT},
    "misread": {**REREAD_MEMBERS, "sha256": HEX_SHA256},
    "vanished": {},
    "skipped": {"reason": TEXT, "count": NATURAL},
    "clock": {"mtime": '"(?:back|future)"', "mtime_ns": INTEGER, "was_ns": INTEGER},
}
NOTE_FORMS = [
    rf'"note":"{kind}","path":{TEXT}' + "".join(rf'(?:,"{key}":{form})?' for key, form in members.items())
    for kind, members in NOTE_MEMBERS.items()
]
NOTE_LINE = re.compile(rf"{{(?:{'|'.join(NOTE_FORMS)})}}\n")

FILE_BOUNDS = {
    "size": range(2**63),
    "mtime_ns": range(-(2**63), 2**63),
    "mode": range(2**31),
    "uid": range(2**32),
    "gid": range(2**32),
}
SHA256_OF_NOTHING = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Entry:
    """Entry of one path. Members that an entry of its type does not have are None."""

    path: str
    size: int | None = None
    mtime_ns: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    sha256: str | None = None
    md5: str | None = None
    hardlink: str | None = None
    link: str | None = None
    error: str | None = None
    stage: str | None = None
    special: str | None = None


@dataclass(frozen=True)
class Note:
    """Note of an event at one path in this run; its further members are not looked at."""

    path: str
    kind: str


def read_record(text: str) -> Entry | Note:
    """Return the record of one line, newline included. Raise CheckFailed unless it is one, in its canonical form."""
    if ENTRY_LINE.fullmatch(text):
        entry = parse_entry(text)
        check_path(entry.path)
        if entry.link is not None:
            decode_name(entry.link)
        if entry.sha256 is not None:
            _check_file(entry)
        return entry

    if not NOTE_LINE.fullmatch(text):
        raise CheckFailed("not a line of the format in its canonical form")
    members = json.loads(text)
    note = Note(members.pop("path"), members.pop("note"))
    check_path(note.path)
    if "was_path" in members:
        check_path(members.pop("was_path"))
    for value in members.values():
        _check_note_value(value)
    return note


def _check_note_value(value: Any) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise CheckFailed("a number of a note is out of its range")
    texts = [value] if isinstance(value, str) else []
    if isinstance(value, list):
        texts = value
    _check_lengths("notes", texts, (), texts)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def parse_entry(text: str) -> Entry:
    """Return the entry of a line that has the form of one: its keys are the fields of Entry."""
    return Entry(**json.loads(text))


def _check_file(entry: Entry) -> None:
    for name, bounds in FILE_BOUNDS.items():
        if getattr(entry, name) not in bounds:
            raise CheckFailed("a number out of its range")
    if entry.size and entry.sha256 == SHA256_OF_NOTHING:
        raise CheckFailed("the digest of nothing")
    if entry.hardlink is not None:
        check_path(entry.hardlink)
        if entry.hardlink >= entry.path:
            raise CheckFailed("a hard link names an earlier path")


class RecordOrder:
    """Refuse records that are out of order: entries by path, then notes by path and kind, each once.

    Python compares text by code points, which is the order of its UTF-8 bytes.
    """

    def __init__(self) -> None:
        self._last_entry = ""
        self._last_note: tuple[str, str] | None = None

    def add(self, record: Entry | Note) -> None:
        """Take in the next record. Raise CheckFailed unless it stands behind the last one."""
        if isinstance(record, Entry):
            in_order = self._last_note is None and self._last_entry < record.path
            self._last_entry = record.path
        else:
            position = (record.path, record.kind)
            in_order = self._last_note is None or self._last_note < position
            self._last_note = position
        if not in_order:
            raise CheckFailed("out of order: entries by path, then notes by path and kind, each once")


class Totals:
    """Count and digest the lines below line 1, to be compared with what the statement says. Section: Digests."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._block_size = block_size(statement.records.count)
        self.files = 0
        self.file_bytes = 0
        self.errors = 0
        self.count = 0
        self._line_bytes = 0
        self._all_lines = hashlib.sha3_512()
        self._content = hashlib.sha3_512()
        self._block = hashlib.sha256()
        self._blocks: list[str] = []

    def add(self, record: Entry | Note, line: bytes) -> None:
        """Take in the next line. Raise CheckFailed as soon as there is more than was signed."""
        signed = self._statement.records
        self.count += 1
        self._line_bytes += len(line)
        if self.count > signed.count or self._line_bytes > signed.bytes:
            raise CheckFailed("more than was signed")

        self._all_lines.update(line)
        self._block.update(line)
        if self.count % self._block_size == 0 or self.count == signed.count:
            self._blocks.append(self._block.hexdigest())
            self._block = hashlib.sha256()
        if isinstance(record, Entry):
            self._add_entry(record)

    def _add_entry(self, entry: Entry) -> None:
        if entry.sha256 is not None:
            self.files += 1
            self.file_bytes += entry.size or 0
            self._content.update(f"{entry.path}\0{entry.sha256}\0".encode())
        elif entry.link is not None:
            self._content.update(f"{entry.path}\0->{entry.link}\0".encode())
        elif entry.error is not None:
            self.errors += 1

    def compare(self) -> None:
        """Raise CheckFailed unless all sums are those of the statement; the message names each that differs."""
        signed = self._statement
        if not self.count and signed.records.count:
            raise CheckFailed("line 1 alone is here, and none of its lines")
        records = RecordSums(self.count, self._line_bytes, self._all_lines.hexdigest(), tuple(self._blocks))
        equal = {
            "files": self.files == signed.files,
            "bytes": self.file_bytes == signed.bytes,
            "errors": self.errors == signed.errors,
            "content": self._content.hexdigest() == signed.content,
            "records": records == signed.records,
        }
        different = [name for name, holds in equal.items() if not holds]
        if different:
            raise CheckFailed(f"the lines are not those that were signed: {', '.join(different)} differ")


# --- A report file ----------------------------------------------------------------------------------------------------
# Sections: The file, How to verify.


class Report:
    """A report file and what became of its check.

    `statement` is None until line 1 has been read. `entry_lines` are the lines of its entries by path, kept on request
    as text, which takes less memory than the entries.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.statement: Statement | None = None
        self.holds = False
        self.entry_lines: dict[str, str] = {}

    def check(self, keys: dict[str, bytes], output: Output, keep_lines: bool = False) -> None:
        """Check envelope, signature, statement, every line and all sums. Raise CheckFailed for the first that fails."""
        with self._open() as file:
            envelope = read_envelope(file.readline(ENVELOPE_LIMIT))
            check_signature(envelope, keys, output)

            statement = read_statement(envelope.payload)
            self.statement = statement
            output.say(
                f"run {statement.sequence} of replica {statement.replica} ended {statement.finished_at}: "
                f"root {statement.root}, {statement.outcome}"
            )

            totals = self._check_lines(file, statement, keep_lines)
            totals.compare()

        self.holds = True
        counts = (
            f"{counted(totals.count, 'line')}: {counted(totals.files, 'file')}, "
            f"{counted(totals.file_bytes, 'byte')}, {counted(totals.errors, 'error')}"
        )
        output.say(statement.failure or counts)

    def _open(self) -> BufferedIOBase:
        if self.path.suffix == ".gz":
            return gzip.open(self.path)
        return self.path.open("rb")

    def _check_lines(self, file: BufferedIOBase, statement: Statement, keep_lines: bool) -> Totals:
        order = RecordOrder()
        totals = Totals(statement)
        for number, line in enumerate(_lines(file), 2):
            # A byte that is not UTF-8 becomes a surrogate, which no line may hold.
            text = line.decode("utf-8", "surrogateescape")
            try:
                record = read_record(text)
                order.add(record)
                totals.add(record, line)
            except CheckFailed as error:
                raise CheckFailed(f"line {number}: {error}") from error
            if keep_lines and isinstance(record, Entry):
                self.entry_lines[record.path] = text
        return totals


def _lines(file: BufferedIOBase) -> Iterator[bytes]:
    """Yield lines, newline included. One that is too long comes in pieces, none of which has the form of a line."""
    while line := file.readline(LINE_LIMIT):
        yield line


# --- The chain --------------------------------------------------------------------------------------------------------
# Section: Chain.


@dataclass(frozen=True)
class ChainLink:
    """A statement and the file that it was read from."""

    statement: Statement
    path: Path


def check_chain(links: list[ChainLink], output: Output) -> None:
    """Check that the runs of one replica, sorted by number, follow one another, and name what is missing."""
    last = links[0].statement
    output.say(f"the chain of replica {last.replica} begins here with run {last.sequence}")

    for link in links[1:]:
        statement = link.statement
        number = statement.sequence
        follows = (statement.previous, statement.server, statement.root) == (last.digest, last.server, last.root)
        if number > last.sequence + 1:
            output.wrong(f"runs {last.sequence + 1} to {number - 1} are missing")
        elif number == last.sequence and statement.digest != last.digest:
            output.wrong(f"run {number} has two statements; one is in {link.path}")
        elif number > last.sequence and not follows:
            output.wrong(
                f"run {number} does not follow run {last.sequence}: it names another statement, server or root"
            )
        if statement.break_reason is not None:
            output.say(f"run {number} began the chain anew: {statement.break_reason}")
        last = statement


# --- A directory ------------------------------------------------------------------------------------------------------

IS_SPECIAL = {"fifo": S_ISFIFO, "socket": S_ISSOCK, "block": S_ISBLK, "char": S_ISCHR, "mount": S_ISDIR}


def check_directory(report: Report, top: Path, output: Output) -> None:
    """Compare each entry with what is on disk now: contents, targets of links, kinds. Follow no link."""
    unmatched = report.entry_lines  # what is found on disk is taken out
    unreadable: list[OSError] = []
    top_descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    for where, directories, others, descriptor in os.fwalk(b".", dir_fd=top_descriptor, onerror=unreadable.append):
        for name in sorted(directories + others):
            path = encode_name(os.path.join(where, name)[2:])
            try:
                mode = os.lstat(name, dir_fd=descriptor).st_mode
                if S_ISDIR(mode) and path not in unmatched:
                    continue  # an ordinary directory is no entry: it is walked
                directories[:] = [directory for directory in directories if directory != name]
                line = unmatched.pop(path, None)
                _check_on_disk(line, mode, name, descriptor)
            except CheckFailed as error:
                output.wrong(f"{path}: {error}")
            except OSError as error:
                output.not_checked(f"{path}: {error}")

    for problem in unreadable:
        output.not_checked(f"a directory: {problem}")
    for path, line in unmatched.items():
        # Below a directory that cannot be read a file may well be there; of an error the report knows no content.
        if unreadable or parse_entry(line).error is not None:
            output.not_checked(f"{path}: not there")
        else:
            output.wrong(f"{path}: not there")


def _check_on_disk(line: str | None, mode: int, name: bytes, directory: int) -> None:
    """Raise CheckFailed when what `name` is now is not what the line of its path says; OSError when that is not known.

    `directory` is the descriptor of the directory that holds `name`.
    """
    if line is None:
        raise CheckFailed("not in the report")
    entry = parse_entry(line)
    if entry.error is not None:
        raise OSError(f"the report has no digest of it, only {entry.error}")

    if entry.sha256 is not None:
        if not S_ISREG(mode) or _digests(name, directory) != (entry.sha256, entry.md5):
            raise CheckFailed("not the file it was")
    elif entry.link is not None:
        if not S_ISLNK(mode) or encode_name(os.readlink(name, dir_fd=directory)) != entry.link:
            raise CheckFailed("not what it was")
    elif entry.special is not None and not IS_SPECIAL[entry.special](mode):
        raise CheckFailed("not what it was")


def _digests(name: bytes, directory: int) -> tuple[str, str]:
    """Return SHA-256 and MD5 of a file, in hex."""
    sha256 = hashlib.sha256()
    md5 = hashlib.md5()
    # No link is followed, and a pipe that has taken the file's place meanwhile does not block.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    with os.fdopen(descriptor, "rb") as file:
        while piece := file.read(READ_SIZE):
            sha256.update(piece)
            md5.update(piece)
    return sha256.hexdigest(), md5.hexdigest()


# --- Public keys ------------------------------------------------------------------------------------------------------
# Section: Keys.

PUBLIC_KEY_SIZE = 32
P = 2**255 - 19
Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# The y coordinates of the eight points whose order divides 8. A signature under such a key holds for many messages.
SMALL_ORDER_Y = frozenset({0, 1, P - 1, Y8, P - Y8})


def read_keys(arguments: list[str]) -> dict[str, bytes]:
    """Return the public keys, by key id, that the command line names: 64 hex digits each, or files of such."""
    words: list[str] = []
    for argument in arguments:
        if len(argument) == 2 * PUBLIC_KEY_SIZE:
            words.append(argument)
        else:
            words += Path(argument).read_text().split()

    keys: dict[str, bytes] = {}
    for word in words:
        key = bytes.fromhex(word)
        check_key(key)
        keys[hashlib.sha256(key).hexdigest()] = key
    return keys


def check_key(key: bytes) -> None:
    """Raise CheckFailed for a key of another length, one not coded canonically, or of small order (RFC 8032, 5.1.3)."""
    y = int.from_bytes(key, "little") % 2**255
    if len(key) != PUBLIC_KEY_SIZE or y >= P or y in SMALL_ORDER_Y:
        raise CheckFailed(f"{key.hex()} is no good key")


# --- The command line -------------------------------------------------------------------------------------------------


def check_all(paths: list[Path], keys: dict[str, bytes], directory: Path | None, output: Output) -> None:
    """Check each report, then the chain of each replica, then the directory with the newest complete run."""
    reports = [Report(path) for path in paths]
    newest: Report | None = None
    for report in reports:
        output.say(f"{report.path}:")
        _check_report(report, keys, output, keep_lines=directory is not None)

        # Only the lines of the newest report are needed, and those of all may not fit into memory.
        if not _is_newer(report, newest):
            report.entry_lines.clear()
            continue
        if newest is not None:
            newest.entry_lines.clear()
        newest = report

    chains: dict[str, list[ChainLink]] = {}
    for report in reports:
        if report.statement is not None:
            chains.setdefault(report.statement.replica, []).append(ChainLink(report.statement, report.path))

    mixes_replicas = False
    newest_replica = None
    if newest is not None and newest.statement is not None:
        newest_replica = newest.statement.replica
    for replica, links in sorted(chains.items()):
        check_chain(sorted(links, key=lambda link: link.statement.sequence), output)
        mixes_replicas |= replica != newest_replica

    if directory is not None:
        if newest is None:
            raise CheckFailed(f"{directory}: not compared, no report of a complete run holds")
        if mixes_replicas:
            raise CheckFailed("--directory is for one replica that holds")
        check_directory(newest, directory, output)


def _check_report(report: Report, keys: dict[str, bytes], output: Output, keep_lines: bool) -> None:
    try:
        report.check(keys, output, keep_lines)
    except (CheckFailed, EOFError, zlib.error) as error:
        output.wrong(str(error))
    except OSError as error:
        # gzip raises an OSError without a number for bytes that are no gzip: that is the file's fault, not the disk's.
        if error.errno:
            output.not_checked(str(error))
        else:
            output.wrong(str(error))


def _is_newer(report: Report, newest: Report | None) -> bool:
    """Return whether a report is a complete run that holds, with a higher number than the newest one until now."""
    if not report.holds or report.statement is None or report.statement.failure is not None:
        return False
    return newest is None or newest.statement is None or report.statement.sequence > newest.statement.sequence


def main() -> int:
    """Run the command line and return the exit code: the outcome of all checks together."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--key", action="append", default=[], help="public key, 64 hex digits, or a file of them")
    parser.add_argument("--directory", type=Path, help="compare the newest complete run with this directory")
    parser.add_argument("report", type=Path, nargs="+", help=".jsonl, .jsonl.gz, or a directory of them")
    options = parser.parse_args()

    output = Output()
    try:
        paths: list[Path] = []
        for argument in options.report:
            # A name that begins with a dot is of a report that is still being written.
            paths += sorted(argument.glob("[!.]*.jsonl*")) or [argument]
        check_all(paths, read_keys(options.key), options.directory, output)
    except (CheckFailed, OSError, ValueError, RecursionError, ImportError) as error:
        output.not_checked(str(error))

    outcome = output.outcome
    output.say(SUMMARIES[outcome])
    return outcome


if __name__ == "__main__":
    sys.exit(main())
