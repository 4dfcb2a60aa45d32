"""Decide which statement takes which place in a replica's chain. Uploads and imports come through `receive_report`.

Knows no HTTP. A report that is received has its place for good, whatever becomes of it later.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from scanner import enrolment, trust_records
from scanner.errors import (
    BodyError,
    Busy,
    ChainGap,
    ConflictingStatement,
    FinalRefusal,
    Forbidden,
    Malformed,
    StaleStatement,
)
from scanner.format.envelope import Envelope, open_envelope
from scanner.format.errors import ReportError
from scanner.format.statement import Statement, read_statement
from scanner.format.timestamps import parse_timestamp
from scanner.ingest import inbox, journal
from scanner.ingest.stream import ReadBytes, ReportStream
from scanner.models import Equivocation, Progress, Replica, Run, Server, ServerKey
from scanner.signals import run_received

logger = logging.getLogger(__name__)

MAX_REASON = 1000
MAX_ENGINE = 10
"""As long as the columns of the model."""


class Receipt(NamedTuple):
    """Result of receiving a report: its run, and whether it came for the first time."""

    run: Run
    new: bool


class Claim(NamedTuple):
    """A statement with a good signature, for a replica of its sender. Whether its place is free is not known yet."""

    line: bytes
    envelope: Envelope
    statement: Statement
    key: ServerKey
    replica: Replica


def receive_report(
    server: Server, read: ReadBytes, *, encoding: str | None = None, digest: bytes | None = None, final: bool = True
) -> Receipt:
    """Receive a report of `server`: verify and store it, and give it its place in the chain and in the journal.

    `read(n)` returns the next bytes as sent; `encoding` is "gzip", "identity" or None (the first bytes tell); `digest`
    is the SHA-256 of all of them where the sender names it. With `final` False a bad body records nothing, since a good
    copy of the file may exist. Raise a Refusal; FinalRefusal says whether the statement has its place all the same.
    """
    stream = ReportStream(read, encoding, digest)
    claim = _verify_claim(server, stream.read_envelope())
    try:
        receipt = _store_report(stream, claim, final)
    except ConflictingStatement:
        # Only here: the exception has rolled the transaction back, and the evidence must outlast it.
        _hold_server(claim)
        raise

    run = receipt.run
    # Again, after the commit: `api.progress` may have written a message on this run that did not see its row yet.
    _delete_progress(run)
    # Also for a report that came before: the server may have died between commit and journal. The sender, who had no
    # answer, comes again.
    if run.journaled_at is None:
        # Not before the commit: the journal holds nothing that the database may still take back.
        transaction.on_commit(partial(_journal_and_announce, run))
    if run.state == Run.State.REFUSED:
        raise FinalRefusal(f"The report is refused: {run.reason}.", recorded=True, sequence=run.sequence)
    return receipt


def release_server(server: Server, by: str = "") -> None:
    """Accept reports of `server` again, after the operator `by` has looked at the evidence."""
    with transaction.atomic():
        evidence = Equivocation.objects.filter(run__replica__server=server, resolved_at=None)
        evidence.update(resolved_at=timezone.now())
        Server.objects.filter(pk=server.pk).update(held_at=None, held_reason="")
        trust_records.append(trust_records.Act.RELEASE, server=server, by=by)


def _verify_claim(server: Server, line: bytes) -> Claim:
    """Check line 1 before anything else is read. Its statement is not parsed before its signature is verified."""
    if server.held_at is not None:
        raise Forbidden("This server is held until an operator has looked at it.")
    if server.archived_at is not None:
        raise Forbidden("This server is archived.")

    try:
        envelope = open_envelope(line)
    except ReportError as error:
        raise Malformed(f"The report has no good envelope: {error}.") from error

    # The keyid finds the key and proves nothing. The key must be one of the server that the token names: nobody uploads
    # what another server has signed.
    key = ServerKey.objects.filter(server=server, keyid=envelope.keyid).first()
    if key is None or not envelope.verify(bytes(key.public)):
        raise Forbidden("The report is not signed by a key of this server.")
    _require_valid(key)
    _check_trust(server, key)

    try:
        statement = read_statement(envelope.payload)
    except ReportError as error:
        raise Malformed(f"The report has no good statement: {error}.") from error
    return Claim(line, envelope, statement, key, _find_replica(server, statement))


def _require_valid(key: ServerKey) -> None:
    """Raise Forbidden for a key that has ended."""
    if key.replaced_by_id is not None:
        raise Forbidden("The key that signed the report was replaced by a newer one of this server.")
    if key.revoked_at is not None:
        raise Forbidden("The report is not signed by a key of this server.")


def _check_trust(server: Server, key: ServerKey) -> None:
    """Raise Forbidden unless a trust record names this key: a row of the database alone makes nobody speak here."""
    try:
        records = trust_records.load()
    except OSError as error:
        logger.exception("the trust records cannot be read")
        raise Busy("The central server cannot read its journal now.", retry_after=300) from error

    trusted = records.find_key(key.keyid, str(server.uuid))
    if trusted is None or records.is_broken:
        raise Forbidden("The central server has no record of this key: its operator has to run adopt_keys.")
    if trusted.revoked_at is not None or trusted.compromised_since is not None:
        raise Forbidden("The key is revoked.")


def _find_replica(server: Server, statement: Statement) -> Replica:
    replica = (
        Replica.objects.select_related("group")
        .filter(
            uuid=statement.replica,
            server=server,
            origin=Replica.Origin.COLLECTOR,
            archived_at=None,
            group__archived_at=None,
        )
        .first()
    )
    # Names inform, uuids bind; the root is compared as well, since another root is another replica.
    if replica is not None:
        expected = (str(server.uuid), str(replica.group.uuid), replica.root)
        if (statement.server, statement.group, statement.root) == expected:
            return replica
    raise Forbidden("The statement is of another server, group, replica or root.")


def _find_recorded_run(claim: Claim) -> Run | None:
    """Return the run that already has this statement, or None when the statement is the next one of its replica.

    Raise ChainGap, StaleStatement or ConflictingStatement when it is neither, and FinalRefusal for a run's id that is
    taken.
    """
    statement = claim.statement
    last_sequence = 0
    last_statement = None
    # Of any state: a run that failed or was refused has its place in the chain, too.
    newest = claim.replica.runs.order_by("-sequence").first()
    if newest is not None:
        last_sequence = newest.sequence
        last_statement = bytes(newest.statement).hex()

    if statement.sequence > last_sequence:
        if statement.sequence > last_sequence + 1 or statement.previous != last_statement:
            # The collector sends what is missing, or starts a new chain from here when it no longer has it.
            expected = {"sequence": last_sequence + 1, "previous": last_statement}
            raise ChainGap("The statement does not follow the newest one here.", expected=expected)

        # Of any replica: `uuid` is unique in the whole table.
        if Run.objects.filter(uuid=statement.run).exists():
            raise FinalRefusal("Another statement has this run's id.", recorded=False)
        return None

    recorded = claim.replica.runs.filter(sequence=statement.sequence).first()
    if recorded is None:
        raise StaleStatement("The statement is older than the newest one here, and not known.")
    if bytes(recorded.statement) != bytes.fromhex(claim.envelope.digest):
        raise ConflictingStatement(
            "Another statement has this sequence; the server is held until an operator has looked at it."
        )
    return recorded


def _store_report(stream: ReportStream, claim: Claim, final: bool) -> Receipt:
    """Return the run of this statement. When it is not recorded yet, read and store the body, and record the run."""
    # Without a lock: reading the body takes as long as the network does. `_record_run` looks again under the lock.
    recorded = _find_recorded_run(claim)
    if recorded is not None:
        return Receipt(recorded, new=False)

    upload, refusal = _store_body(stream, claim.statement, final)
    try:
        receipt = _record_run(claim, _make_run(claim, upload, stream.size, refusal))
    except BaseException:
        inbox.discard_upload(upload)
        raise

    # Somebody sent the same report at the same time and was faster: the run names that file.
    if not receipt.new:
        inbox.discard_upload(upload)
    return receipt


def _store_body(stream: ReportStream, statement: Statement, final: bool) -> tuple[str, str]:
    """Return the name of the stored upload and an empty text, or an empty name and why the body is refused for good."""
    try:
        # A body that is too long is refused for good like any bad body, so that the chain goes on behind it.
        if statement.records.byte_count > settings.BACKUP_SYNCER_RECORDS_BYTES:
            raise BodyError(f"{statement.records.byte_count} bytes of records are more than this central server takes")
        if statement.records.line_count > settings.BACKUP_SYNCER_RECORDS:
            raise BodyError(f"{statement.records.line_count} records are more than this central server takes")
        return inbox.save_upload(stream, statement), ""
    except BodyError as error:
        # A body that was damaged on its way is not refused for good: its sender has a good copy.
        stream.drain()
        stream.check_digest()

        if not final:
            raise FinalRefusal(f"The report is refused: {error}.", recorded=False) from error
        return "", str(error)[:MAX_REASON]


def _make_run(claim: Claim, upload: str, upload_size: int, refusal: str) -> Run:
    """Return the row of this statement, not saved yet."""
    statement = claim.statement

    state = Run.State.RECEIVED
    if refusal:
        state = Run.State.REFUSED
    elif statement.outcome == "failed":
        state = Run.State.FAILED

    return Run(
        uuid=UUID(statement.run),
        replica=claim.replica,
        sequence=statement.sequence,
        state=state,
        reason=refusal or statement.reason or "",
        envelope=claim.line,
        statement=bytes.fromhex(claim.envelope.digest),
        previous=statement.previous and bytes.fromhex(statement.previous),
        key=claim.key,
        break_reason=statement.break_ or "",
        started_at=parse_timestamp(statement.started_at),
        finished_at=parse_timestamp(statement.finished_at),
        work_time_ns=statement.work_time_ns,
        engine=statement.engine["name"][:MAX_ENGINE],
        files=statement.files,
        bytes=statement.bytes_,
        errors=statement.errors,
        content=bytes.fromhex(statement.content),
        records_count=statement.records.line_count,
        records_bytes=statement.records.byte_count,
        records_digest=bytes.fromhex(statement.records.sha3_512),
        upload=upload,
        upload_size=upload_size,
    )


def _record_run(claim: Claim, run: Run) -> Receipt:
    """Save `run` in its place. Return the recorded run instead when the same statement took the place meanwhile."""
    try:
        with transaction.atomic():
            # One at a time for each replica: its row is the lock.
            replica = Replica.objects.select_for_update().get(pk=claim.replica.pk)

            # Read again behind the lock: a conflicting report may have come while this body was read.
            if Server.objects.filter(pk=replica.server_id, held_at__isnull=False).exists():
                raise Forbidden("This server is held until an operator has looked at it.")

            recorded = _find_recorded_run(claim)
            if recorded is not None:
                return Receipt(recorded, new=False)

            # Locked until the commit: either this report comes first, or the newer key that ends its own.
            _require_valid(ServerKey.objects.select_for_update(no_key=True).get(pk=claim.key.pk))
            run.save(force_insert=True)
            enrolment.end_replaced_keys(claim.key)
            _note_acceptance(run)
            _delete_progress(run)
            _clear_accepted_root(replica, run, claim.statement)
            return Receipt(run, new=True)
    except IntegrityError as error:
        # A run of another replica took the id meanwhile: locks are by replica, so the index alone sees it.
        raise FinalRefusal("Another statement has this run's id.", recorded=False) from error


def _delete_progress(run: Run) -> None:
    Progress.objects.filter(uuid=run.uuid).delete()


def _clear_accepted_root(replica: Replica, run: Run, statement: Statement) -> None:
    """End an operator's release of the root's guard when this run has used it."""
    was_used = statement.host["filesystem"]["accepted"] == "operator"
    if replica.accept_root and was_used and run.state == Run.State.RECEIVED:
        replica.accept_root = False
        replica.save(update_fields=["accept_root"])


def _note_acceptance(run: Run) -> None:
    try:
        journal.note_acceptance(run)
    except OSError as error:
        logger.exception("the journal of replica %s cannot be written", run.replica.uuid)
        raise Busy("The central server cannot write its journal now.", retry_after=300) from error


def _journal_and_announce(run: Run) -> None:
    try:
        journal.append(run)
    except OSError as error:
        logger.exception("the journal of replica %s cannot be written", run.replica.uuid)
        # The run is recorded and stays. When its report comes again, or in the next sweep, the journal is written: the
        # note of its acceptance is on disk.
        raise Busy("The central server cannot write its journal now.", retry_after=300) from error

    run_received.send(sender=Run, run=run)


def _hold_server(claim: Claim) -> None:
    """Keep the second statement as evidence and hold the server."""
    with transaction.atomic():
        run = claim.replica.runs.get(sequence=claim.statement.sequence)
        digest = bytes.fromhex(claim.envelope.digest)
        # The sender may try again: one row for each conflicting statement, not for each try.
        Equivocation.objects.get_or_create(run=run, statement=digest, defaults={"envelope": claim.line})

        reason = f"Two statements for run {run.sequence} of {claim.replica}."
        # The first reason stays until an operator has looked at it.
        not_held = Server.objects.filter(pk=claim.replica.server_id, held_at=None)
        not_held.update(held_at=timezone.now(), held_reason=reason)
