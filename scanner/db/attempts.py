"""Count attempts at work that a row stands for, and set aside what keeps failing.

The row is the work: a run to ingest, a comparison to make. An attempt is counted and committed before it starts, so a
worker may die at any instant. Nothing is lost or done twice, and work that kills its worker is set aside after
MAX_ATTEMPTS, so that it does not hold up what waits behind it.

The row's model has the fields `state`, `attempts` and `reason`, and perhaps one for the moment of the first failure.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F, Model, QuerySet
from django.db.models.functions import Coalesce, Now

from scanner.db.errors import translate_database_errors
from scanner.errors import RetryableError

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
REFUND_PAUSE_SECONDS = 0.5
REASON_LENGTH = 2000


class WorkStates(NamedTuple):
    """Values of `state` that attempts read and write."""

    queued: str
    set_aside: str
    failed_at: str | None = None
    """The field that keeps since when the work has failed, where the model has one. Success has to clear it."""


def attempt(
    row: Model,
    states: WorkStates,
    name: str,
    perform: Callable[[], None],
    *,
    final_errors: tuple[type[Exception], ...] = (),
    refund_seconds: float = 0,
) -> bool:
    """Perform the work of `row` once and return whether it succeeded.

    False: the row was not queued, or it is set aside now. `name` is what the log calls the work. One of `final_errors`
    sets it aside at once, since another attempt would fail in the same way. RetryableError refunds the attempt, within
    `refund_seconds` when the database is away, and is raised again. Any other error spends the attempt and is raised
    again, unless it was the last one.
    """
    queued: QuerySet[Any] = type(row)._default_manager.filter(pk=row.pk, state=states.queued)
    if not _count_attempt(queued):
        return False

    with translate_database_errors():
        row.refresh_from_db(fields=["attempts", "reason"])
    number: int = row.attempts  # type: ignore[attr-defined]  # see the module's docstring
    last_reason: str = row.reason  # type: ignore[attr-defined]
    if number > MAX_ATTEMPTS:
        # An attempt that fails for the last time sets the row aside below. Only a worker that died in its last attempt
        # leaves a row that is queued and has none left.
        reason = f"started {MAX_ATTEMPTS} times and never finished: {last_reason or 'its process died'}"
        _set_aside(queued, states, name, reason)
        return False

    try:
        with translate_database_errors():
            perform()
    # The transaction of the work is rolled back by now, so that what is written below stays.
    except final_errors as error:
        _set_aside(queued, states, name, str(error))
        return False
    except RetryableError:
        _refund_attempt(queued, name, refund_seconds)
        raise
    # Any fault of the work: it is logged with its traceback, kept as the reason, and raised until the last attempt.
    except Exception as error:
        reason = f"attempt {number} of {MAX_ATTEMPTS} failed: {type(error).__name__}: {error}"
        logger.error("%s: %s", name, reason, exc_info=error)
        if number < MAX_ATTEMPTS:
            _note_reason(queued, states, reason)
            raise
        _set_aside(queued, states, name, reason)
        return False
    return True


def _count_attempt(queued: QuerySet[Any]) -> bool:
    # Durable: a count that is rolled back with the work would not see the worker die.
    with translate_database_errors(), transaction.atomic(durable=True):
        return queued.update(attempts=F("attempts") + 1) == 1


def _note_reason(queued: QuerySet[Any], states: WorkStates, reason: str) -> None:
    with translate_database_errors():
        queued.update(reason=_storable(reason), **_first_failure(states))


def _set_aside(queued: QuerySet[Any], states: WorkStates, name: str, reason: str) -> None:
    logger.error("%s is set aside: %s", name, reason)
    with translate_database_errors():
        queued.update(state=states.set_aside, reason=_storable(reason), **_first_failure(states))


def _first_failure(states: WorkStates) -> dict[str, Any]:
    """Return the update that notes a failure. A moment that is noted already stays."""
    if states.failed_at is None:
        return {}
    return {states.failed_at: Coalesce(F(states.failed_at), Now())}


def _refund_attempt(queued: QuerySet[Any], name: str, seconds: float) -> None:
    """Do not count an attempt that failed for a reason outside the work, as soon as the database can be reached."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with translate_database_errors():
                # The column takes no number below 0, and somebody may have reset the count meanwhile.
                queued.filter(attempts__gt=0).update(attempts=F("attempts") - 1)
            return
        except RetryableError as error:
            if time.monotonic() >= deadline:
                logger.error("an attempt at %s cannot be refunded: %s", name, error)
                return

            # A connection that was lost is opened again by the next query.
            connection.close()
            time.sleep(REFUND_PAUSE_SECONDS)


def _storable(reason: str) -> str:
    # PostgreSQL stores no NUL in text.
    return reason[:REASON_LENGTH].replace("\0", "")
