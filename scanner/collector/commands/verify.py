"""Run `verify REPORT`: check a report file. It needs no central server and no enrolment."""

from __future__ import annotations

import argparse
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Union

from scanner.collector.commands.arguments import add_command
from scanner.collector.config import Config, load_config
from scanner.collector.delivery.spool import open_report
from scanner.collector.errors import CollectorError
from scanner.collector.exit_codes import ExitCode
from scanner.collector.terminal import print_json, print_message, printable
from scanner.format import signing
from scanner.format.digests import RecordTotals, read_records
from scanner.format.envelope import ENVELOPE_LIMIT, Envelope, open_envelope
from scanner.format.errors import RecordError, ReportError, SigningError
from scanner.format.lines import split_lines
from scanner.format.records import LINE_LIMIT
from scanner.format.statement import Statement, read_statement

_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}\Z")


class KnownKey(NamedTuple):
    """A public key that may have signed a report."""

    public: bytes
    description: str
    """Whose key it is, as the subject of a sentence."""


@dataclass
class Verification:
    """Checks of one report file, each as a line of text."""

    passed: List[str] = field(default_factory=list)
    failed: List[str] = field(default_factory=list)
    unchecked: List[str] = field(default_factory=list)
    statement: Optional[Statement] = None
    keyid: Optional[str] = None

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when a check failed, NOT_DONE when the signature could not be checked."""
        if self.failed:
            return ExitCode.PARTIAL
        if self.unchecked:
            return ExitCode.NOT_DONE
        return ExitCode.OK

    def members(self) -> Dict[str, Any]:
        """Return the JSON members of the verification."""
        members: Dict[str, Any] = {
            "exit": self.exit_code,
            "keyid": self.keyid,
            "run": None,
            "replica": None,
            "sequence": None,
        }
        if self.statement is not None:
            members["run"] = self.statement.run
            members["replica"] = self.statement.replica
            members["sequence"] = self.statement.sequence
        return {
            **members,
            "held": self.passed,
            "broken": self.failed,
            "open": self.unchecked,
        }


def add_parser(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = add_command(
        commands,
        "verify",
        show_verification,
        summary="check a report file: signature, statement, every line, counts and digests",
        description="Check a report file, anywhere and without a central server: envelope, signature, statement, form "
        "and order of every line, counts and digests. Each line of the output begins with holds, BROKEN or OPEN (not "
        "checked).",
        exit_codes="0 everything holds; 1 something is broken; 2 the signature could not be checked, because the key "
        "is not known here, or the file cannot be read",
    )
    parser.add_argument(
        "report",
        type=Path,
        metavar="REPORT",
        help="report file, .jsonl or .jsonl.gz",
    )
    parser.add_argument(
        "--key",
        metavar="PUBLIC",
        help="public key that must have signed: 64 hexadecimal digits, or a file with them "
        "(default: this server's own keys)",
    )
    parser.add_argument("--json", action="store_true", help="print the result for programs to stdout")


def show_verification(options: argparse.Namespace) -> int:
    """Check the report file and print one line for each check."""
    keys = load_known_keys(load_config(options.config), options.key)
    verification = verify_report(options.report, keys)

    for text in verification.passed:
        print_message(f"holds   {printable(text)}")
    for text in verification.unchecked:
        print_message(f"OPEN    {printable(text)}")
    for text in verification.failed:
        print_message(f"BROKEN  {printable(text)}")
    if options.json:
        print_json(verification.members())
    return verification.exit_code


def load_known_keys(config: Config, named_key: Optional[str]) -> Dict[str, KnownKey]:
    """Return the keys that may have signed, by keyid: the named one, or else this server's own.

    `named_key` is 64 hexadecimal digits, a file with them, or the file of a private key. Raises CollectorError.
    """
    if named_key is not None:
        public = _read_public_key(named_key)
        return {signing.keyid(public): KnownKey(public, "the key that was named")}

    keys = {}
    for path in sorted(config.state.glob("key*.pem")):
        try:
            key = signing.SigningKey(path)
        except SigningError:
            continue  # unreadable, or another user's: this server did not sign with it
        keys[key.keyid] = KnownKey(key.public, "this server's own key")
    return keys


def _read_public_key(named_key: str) -> bytes:
    text = named_key.strip().lower()
    try:
        if not _PUBLIC_KEY.match(text):
            content = Path(named_key).read_text(encoding="ascii")
            # Whoever has only the private key at hand may name its file: nothing of it is printed.
            if "PRIVATE KEY" in content:
                return signing.SigningKey(Path(named_key)).public
            text = content.strip().lower()
        if not _PUBLIC_KEY.match(text):
            raise CollectorError(f"{named_key} holds no public key: it must hold 64 hexadecimal digits")

        public = bytes.fromhex(text)
        signing.check_public_key(public)
    except (OSError, UnicodeDecodeError, SigningError) as error:
        raise CollectorError(f"cannot read the key {named_key}: {error}") from error
    return public


def verify_report(path: Path, keys: Dict[str, KnownKey]) -> Verification:
    """Return the checks of a report file. Raises CollectorError when the file cannot be read."""
    verification = Verification()
    try:
        _verify_content(path, keys, verification)
    except (ReportError, RecordError, zlib.error, EOFError) as error:
        verification.failed.append(str(error))
    except OSError as error:
        if error.errno is not None:
            raise CollectorError(f"cannot read {path}: {error.strerror}") from error
        # gzip raises an OSError without a number for bytes that are not gzip.
        verification.failed.append(f"compression: {error}")
    return verification


def _verify_content(path: Path, keys: Dict[str, KnownKey], verification: Verification) -> None:
    with open_report(path) as file:
        envelope = open_envelope(file.readline(ENVELOPE_LIMIT + 1))
        verification.keyid = envelope.keyid
        verification.passed.append("envelope: in the form of a report")
        # What an unknown key signed is checked all the same; what a known key did not sign is not worth reading.
        if not _check_signature(envelope, keys, verification):
            return

        statement = read_statement(envelope.payload)
        verification.statement = statement
        verification.passed.append(
            f"statement: run {statement.sequence} of replica {statement.replica}, {statement.outcome}"
        )

        totals = RecordTotals(statement.records.line_count)
        for _record in read_records(split_lines(file.read, LINE_LIMIT), totals):
            pass  # reading checks each record and adds it to the totals
    _check_sums(statement, totals, verification)


def _check_signature(envelope: Envelope, keys: Dict[str, KnownKey], verification: Verification) -> bool:
    """Check the signature and return whether to read on: not after a known key turned out not to have signed."""
    known_key = keys.get(envelope.keyid)
    if known_key is None:
        verification.unchecked.append(
            f"signature: made with key {envelope.keyid}, which is not known here. It was not checked, and nothing "
            "below is proven to come from that key; get the public key from its owner and name it with --key"
        )
        return True

    if not envelope.verify(known_key.public):
        verification.failed.append(f"signature: {known_key.description} {envelope.keyid} did not sign this statement")
        return False
    verification.passed.append(f"signature: made with {known_key.description} {envelope.keyid}")
    return True


def _check_sums(statement: Statement, totals: RecordTotals, verification: Verification) -> None:
    """Compare the counts and digests of the statement with those of the lines in the file."""
    stated_records = statement.records
    counted_records = totals.records_digest.finish()
    verification.passed.append("lines: each in its only valid form, in strictly ascending order")

    _check_sum(verification, "number of lines", stated_records.line_count, counted_records.line_count)
    _check_sum(verification, "bytes of the lines", stated_records.byte_count, counted_records.byte_count)
    _check_sum(verification, "SHA3-512 of the lines", stated_records.sha3_512, counted_records.sha3_512)
    if stated_records.blocks == counted_records.blocks:
        verification.passed.append("SHA-256 of each block")
    else:
        difference = _first_different_block(stated_records.blocks, counted_records.blocks)
        verification.failed.append(f"SHA-256 of each block: not what the statement says{difference}")

    _check_sum(verification, "number of files", statement.files, totals.files)
    _check_sum(verification, "bytes of the files", statement.bytes_, totals.size)
    _check_sum(verification, "number of errors", statement.errors, totals.errors)
    _check_sum(verification, "SHA3-512 of paths and contents", statement.content, totals.content_digest.hexdigest())


def _check_sum(verification: Verification, name: str, stated: Union[int, str], counted: Union[int, str]) -> None:
    """Compare one number or digest of the statement with that of the file."""
    is_number = isinstance(stated, int)
    if stated == counted:
        verification.passed.append(f"{name}: {stated}" if is_number else name)
    elif is_number:
        verification.failed.append(f"{name}: the statement says {stated}, the file has {counted}")
    else:
        verification.failed.append(f"{name}: not what the statement says")


def _first_different_block(stated: Sequence[str], counted: Sequence[str]) -> str:
    """Return which block differs first, as the end of a sentence, or nothing when the numbers of blocks differ."""
    if len(stated) != len(counted):
        return ""
    for number, (stated_digest, counted_digest) in enumerate(zip(stated, counted), 1):
        if stated_digest != counted_digest:
            return f"; block {number} of {len(stated)} is the first that differs"
    return ""
