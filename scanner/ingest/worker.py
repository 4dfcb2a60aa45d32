"""Ingest received runs into the history, strictly in the order of each replica. The only way into the tables."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from django.db import transaction

from scanner.db import attempts
from scanner.db.errors import translate_database_errors
from scanner.db.locks import LockClass, advisory_lock
from scanner.db.sweeps import Sweep
from scanner.errors import BodyError, LegacyFormatError, PermanentError, RetryableError
from scanner.format.errors import PathError, RecordError, ReportError
from scanner.format.threaded_digest import ThreadedSha3
from scanner.ingest import inbox, legacy, store
from scanner.models import Replica, Run
from scanner.signals import run_ingested

REFUND_SECONDS = 600
"""Keep trying for this long to refund an attempt while the database is away."""
STATES = attempts.WorkStates(queued=Run.State.RECEIVED, set_aside=Run.State.SET_ASIDE)
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)


def ingest_waiting(seconds: float = float("inf")) -> int:
    """Ingest queued runs, longest-waiting replica first. Start no replica after `seconds`. Return how many were done.

    A replica that cannot be ingested now is left for later, and the others go on. Raise SweepFailed at the end when
    something else has failed.
    """
    sweep = Sweep(seconds)
    sweep.perform(ingest_replica, store.find_queued_replicas())
    return sweep.finish()


def ingest_replica(replica_id: int) -> int:
    """Ingest all queued runs of a replica and return how many; none while another process does the same.

    Raise RetryableError when it cannot be done now: the run then waits, and no attempt is spent.
    """
    done = 0
    while True:
        with advisory_lock(LockClass.INGEST, replica_id) as acquired:
            if not acquired:
                return done
            while _ingest_next_run(replica_id):
                done += 1

        # A run that came after the last look, but before the lock was released, found the lock taken.
        if replica_id not in store.find_queued_replicas():
            return done


def _ingest_next_run(replica_id: int) -> bool:
    """Ingest or set aside the replica's next queued run. Return False when there is none."""
    with translate_database_errors():
        run = store.find_next_run(replica_id)
    if run is None:
        return False

    name = f"ingest of run {run.sequence} of replica {run.replica.uuid}"
    succeeded = attempts.attempt(
        run,
        STATES,
        name,
        lambda: _ingest_run(run),
        final_errors=(PermanentError,),
        refund_seconds=REFUND_SECONDS,
    )
    if succeeded:
        with translate_database_errors():
            # Receivers see the row as it was committed, with its new state.
            run.refresh_from_db()
            # Not within the ingest: whoever waits for another ANALYZE must not hold its rows meanwhile.
            store.analyze(store.VersionCounts(run.opened or 0, run.closed or 0))
            run_ingested.send(sender=Run, run=run)
    return True


def _ingest_run(run: Run) -> None:
    """Ingest one run in one transaction. Raise PermanentError when that can never succeed."""
    # Durable: no caller may wrap this in a transaction of its own, which could still take the run back after
    # `run_ingested` was sent.
    with transaction.atomic(durable=True):
        ingested = Run.objects.filter(replica=run.replica_id, state=Run.State.INGESTED)
        newest = ingested.order_by("-sequence").first()
        # History only goes forward: versions of the newer run rest on what was current before it.
        if newest is not None and newest.sequence > run.sequence:
            raise PermanentError(f"run {newest.sequence}, which is newer, is in the history already")

        # Equal digests mean equal lines, and most nights nothing changes: a million lines need not be read.
        if newest is not None and bytes(newest.records_digest) == bytes(run.records_digest):
            counts = store.repeat_previous_run(run, newest)
        else:
            counts = _ingest_upload(run)
        store.mark_ingested(run, counts)


def _ingest_upload(run: Run) -> store.VersionCounts:
    """Ingest the stored upload of a run. Raise PermanentError unless it is, to the last byte, what was accepted."""
    try:
        with ThreadedSha3() as digest:
            counts = store.write_records(run, digest.through(_record_lines(run)))
            # The inbox is a directory: what it holds may have changed since the signature was checked.
            if digest.digest() != bytes(run.records_digest):
                raise PermanentError("the stored upload is not the one that was accepted: its digest differs")
    except (BodyError, ReportError, RecordError, PathError, LegacyFormatError) as error:
        raise PermanentError(f"the stored upload is not the one that was accepted: {error}") from error
    except FileNotFoundError as error:
        raise PermanentError("the stored upload is missing") from error
    except OSError as error:
        if error.errno in _DISK_IS_FULL:
            raise RetryableError(f"no room for ingest: {error.strerror}") from error
        raise
    return counts


def _record_lines(run: Run) -> Iterator[bytes]:
    if run.replica.origin == Replica.Origin.UNSIGNED:
        return legacy.record_lines(run)
    return inbox.record_lines(run)
