"""Check the chain of a replica's statements: the signature and the row of each run, its place, and the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from django.utils.translation import gettext_noop as _

from checker.proofs.verification import Check
from scanner import trust_records
from scanner.format import signing
from scanner.format.envelope import Envelope, open_envelope
from scanner.format.errors import ReportError
from scanner.format.statement import Statement, read_statement
from scanner.format.timestamps import parse_timestamp
from scanner.ingest import journal
from scanner.ingest.journal import JournalEntry
from scanner.models import Replica, Run, ServerKey
from scanner.models.runs import CLOCK_TOLERANCE
from scanner.trust_records import Act

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
"""Times of a statement."""


class Fault(NamedTuple):
    """Something wrong at one place of the chain."""

    check: str
    """The name of the check that it belongs to."""
    sequence: int
    message: str
    values: Mapping[str, object] = {}


class Chain:
    """All runs of a replica, oldest first, with everything that is wrong with them.

    One pass finds what is wrong with any number of first runs. The journal is read before the table: what it holds was
    in the table by then, so a run that is accepted meanwhile is not taken for a lost one.
    """

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.faults: list[Fault] = []
        self.last = 0
        """The number of the newest run in the table; 0 when there is none."""
        self._journal: dict[int, list[JournalEntry]] = {}
        for entry in journal.read_journal(replica):
            self._journal.setdefault(entry.sequence, []).append(entry)
        # All keys at once, revoked ones included: old runs are proven with them.
        self._keys = {key.pk: key for key in ServerKey.objects.filter(server=replica.server_id)}
        self._trust = trust_records.load()

        previous: bytes | None = None
        for run in Run.objects.filter(replica=replica).order_by("sequence").iterator(chunk_size=100):
            self.faults += self._check_gap(run)
            self.faults += self._check_journal(run)
            self.faults += self._check_run(run, previous)
            self.last = run.sequence
            previous = bytes(run.statement)
        self.faults += self._check_end()

    def checks(self, run: Run) -> list[Check]:
        """Return the checks of a run: its signature and its row, the chain up to it, and the journal."""
        own_faults = [fault for fault in self.faults if fault.sequence == run.sequence]
        # What is wrong behind the end concerns every run: the newest ones may have been cut off.
        chain_faults = [fault for fault in self.faults if fault.sequence <= run.sequence or fault.sequence > self.last]
        place = {"sequence": run.sequence}
        return [
            _check_signature(run, own_faults),
            _check("statement", own_faults, _("The database row of the run matches the signed statement."), {}),
            _check("chain", chain_faults, _("Runs 1 to %(sequence)d follow one another; none is missing."), place),
            _check(
                "journal",
                chain_faults,
                _("The journal holds these statements, and none newer than those in the database."),
                {},
            ),
        ]

    def _check_gap(self, run: Run) -> Iterator[Fault]:
        if run.sequence != self.last + 1:
            values = {"first": self.last + 1, "last": run.sequence - 1}
            yield Fault("chain", run.sequence, _("Runs %(first)d to %(last)d are missing from the database."), values)

    def _check_journal(self, run: Run) -> Iterator[Fault]:
        entries = self._journal.get(run.sequence)
        if not entries:
            yield _fault("journal", run, _("Run %(sequence)d is not in the journal."))
        elif not all(self._is_entry_of(entry, run) for entry in entries):
            yield _fault("journal", run, _("The journal has a different statement or key for run %(sequence)d."))

    def _check_run(self, run: Run, previous: bytes | None) -> Iterator[Fault]:
        """Check a run against its envelope; `previous` is the digest of the statement before it."""
        if run.envelope is None:
            yield from self._check_without_envelope(run, previous)
            return

        try:
            envelope = open_envelope(bytes(run.envelope))
            statement = read_statement(envelope.payload)
        except ReportError as error:
            message = _("Run %(sequence)d: the envelope is damaged: %(reason)s.")
            yield _fault("signature", run, message, reason=str(error))
            return

        yield from self._check_key(run, envelope)
        expected = None
        if previous:
            expected = previous.hex()
        if statement.previous != expected:
            yield _fault("chain", run, _("Run %(sequence)d does not continue from the previous run."))
        for column in _differing_columns(run, envelope, statement, self.replica):
            message = _("Run %(sequence)d: %(column)s in the database differs from the signed statement.")
            yield _fault("statement", run, message, column=column)

    def _check_without_envelope(self, run: Run, previous: bytes | None) -> Iterator[Fault]:
        if self.replica.origin == Replica.Origin.COLLECTOR:
            yield _fault("signature", run, _("Run %(sequence)d has no envelope."))
        elif (run.previous and bytes(run.previous)) != previous:
            yield _fault("chain", run, _("Run %(sequence)d does not continue from the previous run."))

    def _check_key(self, run: Run, envelope: Envelope) -> Iterator[Fault]:
        key = self._key_of(run)
        if key is None:
            yield _fault("signature", run, _("Run %(sequence)d is not signed by any key of this server."))
        elif signing.keyid(bytes(key.public)) != key.keyid or envelope.keyid != key.keyid:
            yield _fault("signature", run, _("Run %(sequence)d: the key does not match its fingerprint."))
        elif not envelope.verify(bytes(key.public)):
            yield _fault("signature", run, _("Run %(sequence)d: the signature is invalid."))
        else:
            yield from self._check_trust(run, key)
            if key.revoked_at is not None and run.received_at >= key.revoked_at:
                yield _fault("signature", run, _("Run %(sequence)d was accepted after its key had been revoked."))

    def _check_trust(self, run: Run, key: ServerKey) -> Iterator[Fault]:
        """Check the key against the trust records: a row of the database alone makes nobody speak for a server."""
        trusted = self._trust.find_key(key.keyid, str(self.replica.server.uuid))
        if self._trust.is_broken:
            yield _fault("signature", run, _("Run %(sequence)d: a trust record of the central server is missing."))
            return
        if trusted is None:
            yield _fault("signature", run, _("Run %(sequence)d: no trust record of the central server names its key."))
            return

        # The time in the journal, which the database cannot change; a run that is not there fails for that.
        times = [parse_timestamp(entry.time) for entry in self._journal.get(run.sequence, ())]
        accepted_at = min(times, default=run.received_at)
        if trusted.compromised_since is not None and max(accepted_at, run.received_at) >= trusted.compromised_since:
            message = _("Run %(sequence)d: its key may be in the wrong hands since %(since)s UTC.")
            yield _fault("signature", run, message, since=f"{trusted.compromised_since:%Y-%m-%d %H:%M}")
            return

        # Keys that were adopted had signed runs before.
        is_early = trusted.act != Act.ADOPT and accepted_at + CLOCK_TOLERANCE < trusted.named_at
        if is_early:
            yield _fault("signature", run, _("Run %(sequence)d was accepted before its key had been registered."))
        elif trusted.revoked_at is not None and accepted_at - CLOCK_TOLERANCE > trusted.revoked_at:
            yield _fault("signature", run, _("Run %(sequence)d was accepted after its key had been revoked."))

    def _check_end(self) -> Iterator[Fault]:
        newest = max(self._journal, default=0)
        if newest > self.last:
            message = _(
                "The database ends at run %(last)d and the journal at run %(newest)d: the newest runs are "
                "missing from the database."
            )
            yield Fault("journal", newest, message, {"last": self.last, "newest": newest})

    def _is_entry_of(self, entry: JournalEntry, run: Run) -> bool:
        key = self._key_of(run)
        keyid = ""
        if key is not None:
            keyid = key.keyid

        in_database = (str(self.replica.uuid), str(run.uuid), bytes(run.statement).hex(), keyid)
        return in_database == (entry.replica, entry.run, entry.statement, entry.keyid)

    def _key_of(self, run: Run) -> ServerKey | None:
        if run.key_id is None:
            return None
        return self._keys.get(run.key_id)


def _fault(check: str, run: Run, message: str, **values: object) -> Fault:
    return Fault(check, run.sequence, message, {"sequence": run.sequence, **values})


def _differing_columns(run: Run, envelope: Envelope, statement: Statement, replica: Replica) -> Iterator[str]:
    """Yield the names of the columns in which the row of a run differs from its statement."""
    # A refused run may state any outcome: its body was refused, not its statement.
    not_read = (Run.State.FAILED, Run.State.REFUSED)
    if statement.outcome == "failed":
        state_fits = run.state in not_read
    else:
        state_fits = run.state != Run.State.FAILED

    values: dict[str, tuple[object, object]] = {
        "statement": (bytes(run.statement).hex(), envelope.digest),
        "run": (str(run.uuid), statement.run),
        "replica": (str(replica.uuid), statement.replica),
        "server": (str(replica.server.uuid), statement.server),
        "group": (str(replica.group.uuid), statement.group),
        "root": (replica.root, statement.root),
        "sequence": (run.sequence, statement.sequence),
        "previous": (run.previous and bytes(run.previous).hex(), statement.previous),
        "break": (run.break_reason, statement.break_ or ""),
        "started_at": (run.started_at.strftime(_TIME_FORMAT), statement.started_at),
        "finished_at": (run.finished_at.strftime(_TIME_FORMAT), statement.finished_at),
        "work_time_ns": (run.work_time_ns, statement.work_time_ns),
        "files": (run.files, statement.files),
        "bytes": (run.bytes, statement.bytes_),
        "errors": (run.errors, statement.errors),
        "content": (run.content and bytes(run.content).hex(), statement.content),
        "records": (
            (run.records_count, run.records_bytes, bytes(run.records_digest).hex()),
            # The blocks have no column.
            statement.records[:3],
        ),
        "state": (state_fits, True),
    }
    for column, (in_database, in_statement) in values.items():
        if in_database != in_statement:
            yield column


def _check_signature(run: Run, faults: list[Fault]) -> Check:
    if run.envelope is None and run.replica.origin == Replica.Origin.UNSIGNED:
        return Check("signature", False, _("The report is unsigned: nobody vouches for it."))

    keyid = ""
    if run.key is not None:
        keyid = run.key.keyid
    return _check("signature", faults, _("The statement is signed with key %(key)s of this server."), {"key": keyid})


def _check(name: str, faults: list[Fault], success: str, values: Mapping[str, object]) -> Check:
    """Return the check of this name: its first fault, or `success`, which names `values`."""
    for fault in faults:
        if fault.check == name:
            return Check(name, False, fault.message, fault.values)
    return Check(name, True, success, values)
