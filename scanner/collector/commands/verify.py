"""`verify REPORT`: what holds of a report file, said in words. It needs no central server and no enrolment."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from scanner.collector.config import Config
from scanner.collector.delivery.spool import open_report
from scanner.collector.errors import CollectorError
from scanner.format import signing
from scanner.format.digests import RecordTotals, read_records
from scanner.format.envelope import ENVELOPE_LIMIT, Envelope, open_envelope
from scanner.format.errors import RecordError, ReportError, SigningError
from scanner.format.lines import split_lines
from scanner.format.records import LINE_LIMIT, RecordsSummary
from scanner.format.statement import Statement, read_statement

_HEX = re.compile(r"[0-9a-f]{64}\Z")


class Verification(NamedTuple):
    """What holds (`held`), what does not (`broken`), and what could not be told (`open`)."""

    held: List[str]
    broken: List[str]
    open: List[str]
    statement: Optional[Statement] = None
    keyid: Optional[str] = None

    @property
    def exit_code(self) -> int:
        """0 when all holds, 1 when something does not, 2 when the signature could not be checked."""
        return 1 if self.broken else 2 if self.open else 0

    def members(self) -> Dict[str, Any]:
        """The verdict for a program."""
        statement = self.statement
        return {
            "exit": self.exit_code,
            "keyid": self.keyid,
            "run": statement and statement.run,
            "replica": statement and statement.replica,
            "sequence": statement and statement.sequence,
            "held": self.held,
            "broken": self.broken,
            "open": self.open,
        }


def load_known_keys(config: Config, named: Optional[str]) -> Dict[str, Tuple[bytes, str]]:
    """The keys that may have signed, by keyid, each with whose it is: the one that is named, else this server's own.

    `named` is 64 hexadecimal digits, or a file with them, or a private key's file. Raises CollectorError.
    """
    if named is not None:
        public = _public(named)
        return {signing.keyid(public): (public, "the key that was named")}
    keys = {}
    for path in sorted(config.state.glob("key*.pem")):
        try:
            key = signing.SigningKey(path)
        except SigningError:
            continue  # another user's key is none of ours
        keys[key.keyid] = (key.public, "this server's own key")
    return keys


def _public(named: str) -> bytes:
    text = named.strip().lower()
    try:
        if not _HEX.match(text):
            content = Path(named).read_text(encoding="ascii")
            if "PRIVATE KEY" in content:
                return signing.SigningKey(Path(named)).public
            text = content.strip().lower()
        if not _HEX.match(text):
            raise CollectorError(f"{named} holds no public key: 64 hexadecimal digits")
        public = bytes.fromhex(text)
        signing.check_public_key(public)
    except (OSError, UnicodeDecodeError, SigningError) as error:
        raise CollectorError(f"cannot read the key {named}: {error}") from error
    return public


def verify_report(path: Path, keys: Dict[str, Tuple[bytes, str]]) -> Verification:
    """Check a report file: envelope, signature, statement, every line, order, counts and digests."""
    verdict = Verification([], [], [])
    try:
        with open_report(path) as file:
            envelope = open_envelope(file.readline(ENVELOPE_LIMIT + 1))
            verdict.held.append("envelope: of the report's form")
            if not _check_signature(envelope, keys, verdict):
                return verdict._replace(keyid=envelope.keyid)
            statement = read_statement(envelope.payload)
            verdict = verdict._replace(statement=statement, keyid=envelope.keyid)
            verdict.held.append(
                f"statement: run {statement.sequence} of replica {statement.replica}, {statement.outcome}"
            )
            tally = RecordTotals(statement.records.line_count)
            for _ in read_records(split_lines(file.read, LINE_LIMIT), tally):
                pass
    except (ReportError, RecordError, zlib.error, EOFError) as error:
        verdict.broken.append(str(error))
        return verdict
    except OSError as error:
        if error.errno is None:  # gzip's own words for bytes that are no gzip
            verdict.broken.append(f"compression: {error}")
            return verdict
        raise CollectorError(f"cannot read {path}: {error.strerror}") from error
    _compare(statement, tally, verdict)
    return verdict


def _check_signature(envelope: Envelope, keys: Dict[str, Tuple[bytes, str]], verdict: Verification) -> bool:
    """Whether to read on: yes unless a known key did not sign this."""
    if envelope.keyid not in keys:
        verdict.open.append(
            f"signature: by key {envelope.keyid}, which is not known here: not checked, and nothing below is proven "
            "to come from that key; give its public key with --key, obtained from its owner"
        )
        return True
    public, whose = keys[envelope.keyid]
    if not envelope.verify(public):
        verdict.broken.append(f"signature: {whose} {envelope.keyid} did not sign this statement")
        return False
    verdict.held.append(f"signature: by {whose} {envelope.keyid}")
    return True


def _compare(statement: Statement, tally: RecordTotals, verdict: Verification) -> None:
    found: RecordsSummary = tally.records_digest.finish()
    said = statement.records
    pairs = [
        ("number of lines", said.line_count, found.line_count),
        ("bytes of the lines", said.byte_count, found.byte_count),
        ("SHA3-512 of the lines", said.sha3_512, found.sha3_512),
        ("SHA-256 of each block", said.blocks, found.blocks),
        ("number of files", statement.files, tally.files),
        ("bytes of the files", statement.bytes_, tally.size),
        ("number of errors", statement.errors, tally.errors),
        ("SHA3-512 of paths and contents", statement.content, tally.content_digest.hexdigest()),
    ]
    verdict.held.append("lines: each in its one form, in strictly ascending order")
    for name, told, counted in pairs:
        if told == counted:
            verdict.held.append(f"{name}: {told}" if isinstance(told, int) else name)
        elif isinstance(told, int):
            verdict.broken.append(f"{name}: the statement says {told}, the file has {counted}")
        else:
            verdict.broken.append(f"{name}: not what the statement says{_where(said.blocks, found.blocks, told)}")


def _where(said: Tuple[str, ...], found: Tuple[str, ...], told: object) -> str:
    if told is not said or len(said) != len(found):
        return ""
    first = next(number for number, pair in enumerate(zip(said, found), 1) if pair[0] != pair[1])
    return f"; block {first} of {len(said)} is the first that differs"
