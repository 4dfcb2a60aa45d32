"""The only road into the tables: runs that were received, strictly in the order of each replica.

The row is the work and the try is counted before it begins, so a worker may die at any instant: nothing is lost,
nothing is done twice, and a report that kills its worker is set aside. History goes on without it.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator

from django.db import connection, transaction

from scanner.db.errors import Later, Never, edge
from scanner.format.errors import PathError, RecordError, ReportError
from scanner.format.threaded_digest import Sha3Aside
from scanner.ingest import inbox, legacy, store
from scanner.ingest.gunzip import BodyError
from scanner.models import Replica, Run
from scanner.signals import run_ingested

logger = logging.getLogger(__name__)

TRIES = 3
GIVE_BACK_SECONDS = 600
"""So long the try is tried to be given back to a run after the database has gone."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Unfit(Exception):
    """What was accepted cannot be taken in, now or later."""


def ingest_waiting(seconds: float = float("inf")) -> int:
    """Take in what waits, the longest waiting replica first; none is begun after so many seconds. Returns the runs
    done.

    A replica whose turn cannot come now is left for later, and the others go on.
    """
    until, done = time.monotonic() + seconds, 0
    for replica_id in store.waiting():
        if time.monotonic() > until:
            break
        try:
            done += ingest_replica(replica_id)
        except Later as error:
            logger.warning("ingest of replica %s waits: %s", replica_id, error)
    return done


def ingest_replica(replica_id: int) -> int:
    """Take in all runs of a replica that wait, and return how many; none when another process is at it.

    Raises Later when the database cannot do it now; the run then waits, no try spent.
    """
    done = 0
    while True:
        with store.alone(replica_id) as mine:
            if not mine:
                return done
            while _next(replica_id):
                done += 1
        if replica_id not in store.waiting():  # what came after the last look found the lock taken
            return done


def _next(replica_id: int) -> bool:
    """Deal with the run that is next, if there is one."""
    with edge():
        run = store.begin(replica_id)
    if run is None:
        return False
    if run.attempts > TRIES:
        _set_aside(run, f"ingest was begun {TRIES} times and never ended: {run.reason or 'its process died'}")
        return True
    try:
        _take_in(run)
    except (Unfit, Never) as error:
        _set_aside(run, str(error))
    except Later:
        _give_back(run)
        raise
    except Exception as error:  # whatever it is: a report that always fails must not hold up the queue for ever
        _failed(run, error)
        if run.attempts < TRIES:
            raise
    else:
        with edge():
            run.refresh_from_db()
            run_ingested.send(sender=Run, run=run)
    return True


def _take_in(run: Run) -> None:
    """One run, one transaction."""
    with edge(), transaction.atomic(durable=True):
        before = Run.objects.filter(replica=run.replica_id, state=Run.State.INGESTED).order_by("-sequence").first()
        if before is not None and before.sequence > run.sequence:
            raise Unfit(f"run {before.sequence}, which is newer, stands in the history already")
        if before is not None and bytes(before.records_digest) == bytes(run.records_digest):
            counts = store.repeat(run, before)
        else:
            counts = _read(run)
        store.finish(run, counts)


def _read(run: Run) -> store.Counts:
    """Take in the kept bytes of a run; Unfit unless they are, to the last one, those that were accepted."""
    try:
        with Sha3Aside() as digest:
            counts = store.take_in(run, digest.through(_lines(run)))
            if digest.digest() != bytes(run.records_digest):
                raise Unfit("the kept bytes are not those that were accepted: their digest differs")
    except (BodyError, ReportError, RecordError, PathError, legacy.OldFormError) as error:
        raise Unfit(f"the kept bytes are not those that were accepted: {error}") from error
    except FileNotFoundError as error:
        raise Unfit("the kept bytes are gone") from error
    except OSError as error:
        if error.errno in _FULL:
            raise Later(f"no room for ingest: {error.strerror}") from error
        raise
    return counts


def _lines(run: Run) -> Iterator[bytes]:
    if run.replica.origin == Replica.Origin.UNSIGNED:
        return legacy.lines(run)
    return inbox.lines_below_envelope(run)


def _set_aside(run: Run, reason: str) -> None:
    logger.error("run %s of replica %s is set aside: %s", run.sequence, run.replica.uuid, reason)
    with edge():
        store.set_aside(run, reason)


def _failed(run: Run, error: Exception) -> None:
    """An error that nobody foresaw: the try is spent, and the last one's error is the reason."""
    reason = f"try {run.attempts} of {TRIES} failed: {type(error).__name__}: {error}"
    logger.error("run %s of replica %s: %s", run.sequence, run.replica.uuid, reason, exc_info=error)
    with edge():
        if run.attempts < TRIES:
            store.note_reason(run, reason)
        else:
            store.set_aside(run, reason)


def _give_back(run: Run) -> None:
    """Do not count the try, as soon as the database can be told."""
    until = time.monotonic() + GIVE_BACK_SECONDS
    while True:
        try:
            store.give_back(run)
            return
        except Later as error:
            if time.monotonic() > until:
                logger.error("a try of run %s stays spent: %s", run.uuid, error)
                return
            connection.close()
            time.sleep(0.5)
