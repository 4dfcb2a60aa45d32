"""The chain of a replica's statements, each run's place in it, and the journal beside the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

from django.utils.translation import gettext_noop as _

from checker.proofs.verification import Check
from scanner.format import signing
from scanner.format.envelope import Envelope, open_envelope
from scanner.format.errors import ReportError
from scanner.format.statement import Statement, read_statement
from scanner.ingest import journal
from scanner.ingest.journal import JournalEntry
from scanner.models import Replica, Run, ServerKey

_DIFFERS = _("Run %(sequence)d: %(column)s in the database differs from the signed statement.")


class Fault(NamedTuple):
    """Something wrong at one place of the chain. `check` names the check that it belongs to."""

    check: str
    sequence: int
    message: str
    values: Mapping[str, object] = {}


class Chain:
    """A walk over all runs of a replica, oldest first; what is wrong with the first n of them is known in one pass.

    The journal is read before the table: whatever it holds was in the table by then.
    """

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self._journal: dict[int, list[JournalEntry]] = {}
        for entry in journal.read_journal(replica):
            self._journal.setdefault(entry.sequence, []).append(entry)
        self._keys = {key.pk: key for key in ServerKey.objects.filter(server=replica.server_id)}
        self.faults: list[Fault] = []
        self.last = 0
        previous: bytes | None = None
        for run in Run.objects.filter(replica=replica).order_by("sequence").iterator(chunk_size=100):
            self.faults += self._holes(run)
            self.faults += self._run(run, previous)
            self.last, previous = run.sequence, bytes(run.statement)
        self.faults += self._tail()

    def checks(self, run: Run) -> list[Check]:
        """What the walk says of `run`: its own signature and row, the chain up to it, the journal."""
        own = [fault for fault in self.faults if fault.sequence == run.sequence]
        upto = [fault for fault in self.faults if fault.sequence <= run.sequence or fault.sequence > self.last]
        return [
            _signature(run, own),
            _check("statement", own, _("The database row of the run matches the signed statement.")),
            _check("chain", upto, _("Runs 1 to %(sequence)d follow one another; none is missing."), run),
            _check(
                "journal",
                upto,
                _("The journal holds these statements, and none newer than those in the database."),
                run,
            ),
        ]

    def _holes(self, run: Run) -> Iterator[Fault]:
        if run.sequence != self.last + 1:
            values = {"first": self.last + 1, "last": run.sequence - 1}
            yield Fault("chain", run.sequence, _("Runs %(first)d to %(last)d are missing from the database."), values)

    def _run(self, run: Run, previous: bytes | None) -> Iterator[Fault]:
        yield from self._of_journal(run)
        fault = partial(Fault, sequence=run.sequence)
        at = {"sequence": run.sequence}
        if run.envelope is None:
            if self.replica.origin == Replica.Origin.COLLECTOR:
                yield fault("signature", message=_("Run %(sequence)d has no envelope."), values=at)
            elif (run.previous and bytes(run.previous)) != previous:
                yield fault("chain", message=_("Run %(sequence)d does not continue from the previous run."), values=at)
            return
        try:
            envelope = open_envelope(bytes(run.envelope))
            statement = read_statement(envelope.payload)
        except ReportError as error:
            about = at | {"reason": str(error)}
            yield fault("signature", message=_("Run %(sequence)d: the envelope is damaged: %(reason)s."), values=about)
            return
        for message in self._of_key(run, envelope):
            yield fault("signature", message=message, values=at)
        if statement.previous != (previous.hex() if previous else None):
            yield fault("chain", message=_("Run %(sequence)d does not continue from the previous run."), values=at)
        for column in _columns(run, envelope, statement, self.replica):
            yield fault("statement", message=_DIFFERS, values=at | {"column": column})

    def _of_key(self, run: Run, envelope: Envelope) -> Iterator[str]:
        key = None if run.key_id is None else self._keys.get(run.key_id)
        if key is None:
            yield _("Run %(sequence)d is not signed by any key of this server.")
        elif signing.keyid(bytes(key.public)) != key.keyid or envelope.keyid != key.keyid:
            yield _("Run %(sequence)d: the key does not match its fingerprint.")
        elif not envelope.verify(bytes(key.public)):
            yield _("Run %(sequence)d: the signature is invalid.")
        elif key.revoked_at is not None and run.received_at >= key.revoked_at:
            yield _("Run %(sequence)d was accepted after its key had been revoked.")

    def _of_journal(self, run: Run) -> Iterator[Fault]:
        entries = self._journal.get(run.sequence)
        at = {"sequence": run.sequence}
        if not entries:
            yield Fault("journal", run.sequence, _("Run %(sequence)d is not in the journal."), at)
        elif not all(self._same(entry, run) for entry in entries):
            message = _("The journal has a different statement or key for run %(sequence)d.")
            yield Fault("journal", run.sequence, message, at)

    def _same(self, entry: JournalEntry, run: Run) -> bool:
        key = None if run.key_id is None else self._keys.get(run.key_id)
        here = (str(self.replica.uuid), str(run.uuid), bytes(run.statement).hex(), key.keyid if key else "")
        return here == (entry.replica, entry.run, entry.statement, entry.keyid)

    def _tail(self) -> Iterator[Fault]:
        newest = max(self._journal, default=0)
        if newest > self.last:
            values = {"last": self.last, "newest": newest}
            message = _(
                "The database ends at run %(last)d and the journal at run %(newest)d: the newest runs are "
                "missing from the database."
            )
            yield Fault("journal", newest, message, values)


def _columns(run: Run, envelope: Envelope, statement: Statement, replica: Replica) -> Iterator[str]:
    """Names of columns that are not what the statement says."""
    not_read = (Run.State.FAILED, Run.State.REFUSED)
    state_fits = run.state in not_read if statement.outcome == "failed" else run.state != Run.State.FAILED
    pairs = {
        "statement": (bytes(run.statement).hex(), envelope.digest),
        "run": (str(run.uuid), statement.run),
        "replica": (str(replica.uuid), statement.replica),
        "server": (str(replica.server.uuid), statement.server),
        "group": (str(replica.group.uuid), statement.group),
        "root": (replica.root, statement.root),
        "sequence": (run.sequence, statement.sequence),
        "previous": (run.previous and bytes(run.previous).hex(), statement.previous),
        "break": (run.break_reason, statement.break_ or ""),
        "started_at": (run.started_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), statement.started_at),
        "finished_at": (run.finished_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), statement.finished_at),
        "work_time_ns": (run.work_time_ns, statement.work_time_ns),
        "files": (run.files, statement.files),
        "bytes": (run.bytes, statement.bytes_),
        "errors": (run.errors, statement.errors),
        "content": (run.content and bytes(run.content).hex(), statement.content),
        "records": (
            (run.records_count, run.records_bytes, bytes(run.records_digest).hex()), statement.records[:3]
        ),
        "state": (state_fits, True),
    }  # fmt: skip
    return (name for name, (here, there) in pairs.items() if here != there)


def _signature(run: Run, own: list[Fault]) -> Check:
    if run.envelope is None and run.replica.origin == Replica.Origin.UNSIGNED:
        return Check("signature", False, _("The report is unsigned: nobody vouches for it."))
    key = run.key.keyid if run.key else ""
    return _check("signature", own, _("The statement is signed with key %(key)s of this server."), values={"key": key})


def _check(
    name: str, faults: list[Fault], holds: str, run: Run | None = None, values: Mapping[str, object] | None = None
) -> Check:
    """The check of this name: its first fault, else what holds."""
    for fault in faults:
        if fault.check == name:
            return Check(name, False, fault.message, fault.values)
    return Check(name, True, holds, values or ({"sequence": run.sequence} if run and "%(" in holds else {}))
