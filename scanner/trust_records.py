"""Keep the trust records: each act that changes whom the central server believes, signed and in order.

They stand in `trust.jsonl` beside the journal, one envelope a line, signed by the central server's key; each names the
digest of the one before. The rows of the database say what a page shows. What is accepted, and what a verification
believes, is decided here: whoever writes to the database alone can add no key, no token, and undo no revocation.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from scanner import central_key
from scanner.append_file import append_lines, open_locked
from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.envelope import open_envelope, seal_envelope
from scanner.format.errors import RecordError, ReportError
from scanner.format.timestamps import format_timestamp, parse_timestamp
from scanner.models import Server

TRUST_TYPE = "application/vnd.backup-syncer.trust.v1+json"
"""No other signature of the central key passes for one of a trust record."""


class Act(StrEnum):
    """An act that changes trust. Its value is part of the signed record."""

    TOKEN = "token"
    """An enrolment token was created."""
    ENROL = "enrol"
    """A key was registered with an enrolment token."""
    IMPORT = "import"
    """An operator named a key that he trusts for an imported report."""
    ADOPT = "adopt"
    """An operator took over a key that was registered before there were trust records."""
    REVOKE = "revoke"
    """Nothing new that a key signs is accepted."""
    COMPROMISE = "compromise"
    """Nothing that a key signed since a moment is believed."""
    END_TOKENS = "end-tokens"
    """The tokens of a server were ended."""
    RELEASE = "release"
    """Reports of a server that was on hold are accepted again."""


NAMING_ACTS = frozenset({Act.ENROL, Act.IMPORT, Act.ADOPT})
"""Acts after which a key speaks for a server."""


class TrustRecord(NamedTuple):
    """A line of `trust.jsonl`, verified. What does not belong to an act is empty. Digests and keys are hex."""

    act: str
    server: str
    """The server's uuid."""
    key: str
    """The id of the key."""
    token: str
    """The digest of the enrolment token."""
    since: str
    """From when on the key is not believed."""
    by: str
    """The name of the person who acted; empty for a command, or a server that enrols itself."""
    time: str
    previous: str
    """The digest of the record before; empty for the first one."""


@dataclass(frozen=True)
class TrustedKey:
    """A key of a server, as the records have it."""

    named_at: datetime
    act: Act
    """The act that named it first."""
    revoked_at: datetime | None = None
    compromised_since: datetime | None = None


class TrustRecords:
    """The records of one file, read as far as it has been written. Lines that the central key did not sign are void."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._offset = 0
        self._last_line = b""
        self._clear()

    def refresh(self) -> None:
        """Read the lines that were appended since the last call; everything when the file is another one."""
        with self._lock:
            try:
                with open(self.path, "rb") as file:
                    # The last line that was read is read again: where it is gone, the file was exchanged or rewritten.
                    file.seek(self._offset - len(self._last_line))
                    if file.read(len(self._last_line)) != self._last_line:
                        self._clear()
                        file.seek(0)
                    data = file.read()
            except FileNotFoundError:
                self._clear()
                return

            # Behind the last newline there is nothing, or a line that is torn.
            whole = data[: data.rfind(b"\n") + 1]
            self._offset += len(whole)
            for line in whole.splitlines(keepends=True):
                self._add_line(line)
                self._last_line = line

    def append(self, act: Act, *, server: str, **members: str) -> None:
        """Sign a record and write it, on disk before this returns. `members` are those of TrustRecord."""
        with self._lock, open_locked(self.path) as descriptor:
            # Behind the lock of the file: another process may have written the record that comes before this one.
            self.refresh()
            record = TrustRecord(
                act=act,
                server=server,
                key=members.pop("key", ""),
                token=members.pop("token", ""),
                since=members.pop("since", ""),
                by=members.pop("by", ""),
                time=format_timestamp(time.time()),
                previous=self._last,
            )
            assert not members, members

            key = central_key.load_key()
            payload = canonical_json(record._asdict()).encode()
            append_lines(descriptor, seal_envelope(TRUST_TYPE, payload, key.sign, key.keyid))
            self.refresh()

    def find_key(self, keyid: str, server: str) -> TrustedKey | None:
        """Return what the records say of a key of this server; None when no record names it."""
        return self._keys.get((keyid, server))

    def has_token(self, digest: str, server: str) -> bool:
        """Return whether a record names this enrolment token of this server."""
        return (digest, server) in self._tokens

    def key_of_token(self, digest: str) -> str:
        """Return the id of the key that was registered with an enrolment token; empty when none was."""
        return self._used_tokens.get(digest, "")

    def _clear(self) -> None:
        self._offset = 0
        self._last_line = b""
        self._last = ""
        self._keys: dict[tuple[str, str], TrustedKey] = {}
        self._tokens: set[tuple[str, str]] = set()
        self._used_tokens: dict[str, str] = {}
        self.is_broken = False
        """A record is missing between two others."""

    def _add_line(self, line: bytes) -> None:
        try:
            envelope = open_envelope(line, TRUST_TYPE)
            key = central_key.load_key()
            if envelope.keyid != key.keyid or not envelope.verify(key.public):
                return
            members = decode_json(envelope.payload)
            record = TrustRecord(**members)
        except (ReportError, RecordError, TypeError):
            return  # a line that a crash tore, or that somebody else wrote

        if record.previous != self._last:
            self.is_broken = True
        self._last = envelope.digest
        self._apply(record)

    def _apply(self, record: TrustRecord) -> None:
        place = (record.key, record.server)
        if record.act == Act.TOKEN:
            self._tokens.add((record.token, record.server))
        elif record.act in NAMING_ACTS:
            self._keys.setdefault(place, TrustedKey(parse_timestamp(record.time), Act(record.act)))
            if record.token:
                self._used_tokens.setdefault(record.token, record.key)
        elif record.act == Act.REVOKE and place in self._keys:
            key = self._keys[place]
            self._keys[place] = replace(key, revoked_at=key.revoked_at or parse_timestamp(record.time))
        elif record.act == Act.COMPROMISE and place in self._keys:
            key = self._keys[place]
            # The earliest moment holds: nothing becomes believable by a second record.
            since = min(parse_timestamp(record.since), key.compromised_since or parse_timestamp(record.since))
            self._keys[place] = replace(key, compromised_since=since)


_opened: dict[tuple[Path, str], TrustRecords] = {}


def load() -> TrustRecords:
    """Return the trust records of this central server, as they are on disk now."""
    path = Path(settings.BACKUP_SYNCER_JOURNAL) / "trust.jsonl"
    records = _opened.setdefault((path, central_key.load_key().keyid), TrustRecords(path))
    records.refresh()
    return records


def append(act: Act, *, server: Server, **members: str) -> None:
    """Sign a record of an act on `server` and write it. The caller's transaction must not have been committed yet.

    An act whose record cannot be written is rolled back. A record whose act was rolled back names a key without a row:
    it makes nobody speak here.
    """
    load().append(act, server=str(server.uuid), **members)
