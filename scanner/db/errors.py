"""Translate errors of the database: what may pass, and what the data themselves cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError

from scanner.errors import PermanentError, RetryableError, StatementCancelled

# Classes of SQLSTATE (PostgreSQL's manual, appendix A): connection, rollback for a deadlock, resources (disk, memory,
# connections), an operator's intervention, the system; and a lock that could not be taken.
_PASSING_STATES = ("08", "40", "53", "57", "58", "55P03")


_CANCELLED_STATE = "57014"


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Raise RetryableError for errors that may pass and PermanentError for errors that the data cause.

    StatementCancelled is neither: another attempt may succeed, but it counts, or one report could hold up all others.

    Any other error is raised as it is: it is a fault of the program.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        state = _sqlstate(error)
        if state == _CANCELLED_STATE:
            raise StatementCancelled(f"a statement was cancelled: {_first_line(error)}") from error
        # No SQLSTATE: the connection was lost before the server could say anything.
        if state is None or state.startswith(_PASSING_STATES):
            raise RetryableError(f"the database: {_first_line(error)}") from error
        raise
    except (DataError, IntegrityError) as error:
        raise PermanentError(f"the database refuses it: {_first_line(error)}") from error
    except DatabaseError as error:
        state = _sqlstate(error)
        if state is not None and state.startswith(_PASSING_STATES):
            raise RetryableError(f"the database: {_first_line(error)}") from error
        raise


def database_error_text(error: Exception) -> str:
    """Return one line on an error of the database, for the person who runs a command."""
    return f"the database cannot be used: {_first_line(error)}"


def _sqlstate(error: Exception) -> str | None:
    # Django's exceptions carry psycopg's as their cause, and that has the code.
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):
        return cause.sqlstate
    return None


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    if not lines:
        return "no message"
    return lines[0]
