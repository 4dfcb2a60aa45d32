"""What the database's errors mean to the store: what may pass, and what the data themselves cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError


class StoreError(Exception):
    """Base of what can go wrong in the tables."""


class Later(StoreError):
    """The database cannot do it now; trying again may help."""


class Never(StoreError):
    """The database refuses it, and always will."""


# Classes of SQLSTATE (PostgreSQL's manual, appendix A): connection, rollback for a deadlock, resources (disk, memory,
# connections), an operator's intervention, the system; and a lock that was not to be had.
_PASSING = ("08", "40", "53", "57", "58", "55P03")


@contextmanager
def edge() -> Iterator[None]:
    """Turn the database's errors into ours: Later for what may pass, Never for what the data cause. Others go on."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        state = _sqlstate(error)
        if state is None or state.startswith(_PASSING):
            raise Later(f"the database: {_first_line(error)}") from error
        raise
    except (DataError, IntegrityError) as error:
        raise Never(f"the database refuses it: {_first_line(error)}") from error
    except DatabaseError as error:
        state = _sqlstate(error)
        if state is not None and state.startswith(_PASSING):
            raise Later(f"the database: {_first_line(error)}") from error
        raise


def database_says(error: Exception) -> str:
    """One line for whoever runs a command."""
    return f"the database cannot be used: {_first_line(error)}"


def _sqlstate(error: Exception) -> str | None:
    state = getattr(error.__cause__, "sqlstate", None)
    return state if isinstance(state, str) else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no message"])[0]
