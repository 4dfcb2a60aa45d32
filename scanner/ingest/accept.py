"""Which statement takes which place in a replica's chain. Knows no HTTP: uploads and imports come through `receive`."""

from __future__ import annotations

import logging
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from scanner.errors import Busy, Equivocates, Forbidden, Gap, Malformed, Refused, Stale
from scanner.format.envelope import Envelope, open_envelope
from scanner.format.errors import ReportError
from scanner.format.statement import Statement, read_statement
from scanner.format.timestamps import parse_timestamp
from scanner.ingest import inbox, journal
from scanner.ingest.gunzip import BodyError
from scanner.ingest.stream import Arrival, Read
from scanner.models import Equivocation, Progress, Replica, Run, Server, ServerKey
from scanner.signals import run_received

logger = logging.getLogger(__name__)


class Receipt(NamedTuple):
    """What became of a report: its run, and whether it came for the first time."""

    run: Run
    new: bool


class Claim(NamedTuple):
    """A statement whose signature holds and whose place is its sender's to fill."""

    line: bytes
    envelope: Envelope
    statement: Statement
    key: ServerKey
    replica: Replica


def receive(
    server: Server, read: Read, *, encoding: str | None = None, digest: bytes | None = None, final: bool = True
) -> Receipt:
    """Take a report of `server`: verify, check, keep, give it its place in the chain and in the journal.

    `read(n)` gives the next bytes as sent; `encoding` is "gzip", "identity" or None (told by the first bytes); `digest`
    is the SHA-256 of all of them where the sender names it. `final` False: a bad body records nothing, as where a good
    copy of the file may be had. Raises a Refusal; Refused says whether the statement has its place all the same.
    """
    arrival = Arrival(read, encoding, digest)
    claim = _claim(server, arrival.envelope())
    try:
        receipt = _take(arrival, claim, final)
    except Equivocates:
        _hold(claim)
        raise
    run = receipt.run
    if run.journaled_at is None:
        transaction.on_commit(partial(_acknowledge, run))
    if run.state == Run.State.REFUSED:
        raise Refused(f"The report is refused: {run.reason}.", recorded=True, sequence=run.sequence)
    return receipt


def _claim(server: Server, line: bytes) -> Claim:
    """What line 1 must be before anything else is read. No statement is parsed before its signature held."""
    if server.held_at is not None:
        raise Forbidden("This server is held until an operator has looked at it.")
    if server.archived_at is not None:
        raise Forbidden("This server is archived.")
    try:
        envelope = open_envelope(line)
    except ReportError as error:
        raise Malformed(f"The report has no good envelope: {error}.") from error
    key = ServerKey.objects.filter(server=server, keyid=envelope.keyid).first()
    if key is None or key.revoked_at is not None or not envelope.verify(bytes(key.public)):
        raise Forbidden("The report is not signed by a key of this server.")
    try:
        statement = read_statement(envelope.payload)
    except ReportError as error:
        raise Malformed(f"The report has no good statement: {error}.") from error
    return Claim(line, envelope, statement, key, _replica(server, statement))


def _replica(server: Server, statement: Statement) -> Replica:
    found = Replica.objects.select_related("group").filter(
        uuid=statement.replica, server=server, origin=Replica.Origin.COLLECTOR, archived_at=None
    )
    replica = found.first()
    here = None if replica is None else (str(server.uuid), str(replica.group.uuid), replica.root)
    if replica is None or here != (statement.server, statement.group, statement.root):
        raise Forbidden("The statement is of another server, group, replica or root.")
    return replica


def _place(claim: Claim) -> Run | None:
    """The run that this statement already is, or None when it is the next one; Gap, Stale or Equivocates otherwise."""
    statement, digest = claim.statement, bytes.fromhex(claim.envelope.digest)
    newest = claim.replica.runs.order_by("-sequence").first()
    last, previous = (newest.sequence, bytes(newest.statement).hex()) if newest else (0, None)
    if statement.sequence > last:
        if statement.sequence > last + 1 or statement.previous != previous:
            expected = {"sequence": last + 1, "previous": previous}
            raise Gap("The statement does not follow the newest one here.", expected=expected)
        if Run.objects.filter(uuid=statement.run).exists():
            raise Refused("Another statement has this run's id.", recorded=False)
        return None
    there = claim.replica.runs.filter(sequence=statement.sequence).first()
    if there is None:
        raise Stale("The statement is older than the newest one here, and not known.")
    if bytes(there.statement) != digest:
        raise Equivocates("Another statement has this sequence; the server is held until an operator has looked at it.")
    return there


def _take(arrival: Arrival, claim: Claim, final: bool) -> Receipt:
    """The run of this statement: the one that is here already, else the body is read, and the run made."""
    known = _place(claim)
    if known is not None:
        return Receipt(known, new=False)
    upload, reason = _keep(arrival, claim.statement, final)
    try:
        receipt = _record(claim, _run(claim, upload, arrival.size, reason))
    except BaseException:
        inbox.discard(upload)
        raise
    if not receipt.new:
        inbox.discard(upload)
    return receipt


def _keep(arrival: Arrival, statement: Statement, final: bool) -> tuple[str, str]:
    """The name under which the report is kept, or why its body is refused for good."""
    try:
        if statement.records.byte_count > settings.BACKUP_SYNCER_RECORDS_BYTES:
            raise BodyError(f"{statement.records.byte_count} bytes of records are more than this central server takes")
        return inbox.keep(arrival, statement), ""
    except BodyError as error:
        arrival.drain()
        arrival.check_digest()
        if not final:
            raise Refused(f"The report is refused: {error}.", recorded=False) from error
        return "", str(error)[:1000]


def _run(claim: Claim, upload: str, size: int, refused: str) -> Run:
    """The row of this statement, not yet in the database."""
    statement = claim.statement
    failed = statement.outcome == "failed"
    state = Run.State.REFUSED if refused else Run.State.FAILED if failed else Run.State.RECEIVED
    engine = statement.engine["name"]
    return Run(
        uuid=UUID(statement.run),
        replica=claim.replica,
        sequence=statement.sequence,
        state=state,
        reason=refused or statement.reason or "",
        envelope=claim.line,
        statement=bytes.fromhex(claim.envelope.digest),
        previous=statement.previous and bytes.fromhex(statement.previous),
        key=claim.key,
        break_reason=statement.break_ or "",
        started_at=parse_timestamp(statement.started_at),
        finished_at=parse_timestamp(statement.finished_at),
        work_time_ns=statement.work_time_ns,
        engine=engine[:10] if isinstance(engine, str) else "",
        files=statement.files,
        bytes=statement.bytes_,
        errors=statement.errors,
        content=bytes.fromhex(statement.content),
        records_count=statement.records.line_count,
        records_bytes=statement.records.byte_count,
        records_digest=bytes.fromhex(statement.records.sha3_512),
        upload=upload,
        upload_size=size,
    )


def _record(claim: Claim, run: Run) -> Receipt:
    """Give `run` its place, one at a time for each replica; or the same run, when that took the place meanwhile."""
    try:
        with transaction.atomic():
            replica = Replica.objects.select_for_update().get(pk=claim.replica.pk)
            if Server.objects.filter(pk=replica.server_id, held_at__isnull=False).exists():
                raise Forbidden("This server is held until an operator has looked at it.")
            known = _place(claim)
            if known is not None:
                return Receipt(known, new=False)
            run.save(force_insert=True)
            _settle(replica, run, claim.statement)
            return Receipt(run, new=True)
    except IntegrityError as error:
        raise Refused("Another statement has this run's id.", recorded=False) from error


def _settle(replica: Replica, run: Run, statement: Statement) -> None:
    """What the arrival of a run ends: its progress, and an operator's release of the root's guard that it has used."""
    Progress.objects.filter(uuid=run.uuid).delete()
    filesystem = statement.host["filesystem"]
    accepted = isinstance(filesystem, dict) and filesystem.get("accepted") == "operator"
    if replica.accept_root and accepted and run.state == Run.State.RECEIVED:
        replica.accept_root = False
        replica.save(update_fields=["accept_root"])


def _acknowledge(run: Run) -> None:
    """Put the run into the journal, then tell of it. Not before the commit: the journal holds what is."""
    try:
        journal.append(run)
    except OSError as error:
        logger.exception("the journal of replica %s cannot be written", run.replica.uuid)
        raise Busy("The central server cannot write its journal now.", retry_after=300) from error
    run_received.send(sender=Run, run=run)


def _hold(claim: Claim) -> None:
    """Keep the second statement as evidence and hold the server."""
    with transaction.atomic():
        there = claim.replica.runs.get(sequence=claim.statement.sequence)
        digest = bytes.fromhex(claim.envelope.digest)
        Equivocation.objects.get_or_create(run=there, statement=digest, defaults={"envelope": claim.line})
        reason = f"Two statements for run {there.sequence} of {claim.replica}."
        Server.objects.filter(pk=claim.replica.server_id, held_at=None).update(
            held_at=timezone.now(), held_reason=reason
        )


def release(server: Server) -> None:
    """An operator has looked at the evidence: take what `server` sends again."""
    with transaction.atomic():
        resolved = Equivocation.objects.filter(run__replica__server=server, resolved_at=None)
        resolved.update(resolved_at=timezone.now())
        Server.objects.filter(pk=server.pk).update(held_at=None, held_reason="")
