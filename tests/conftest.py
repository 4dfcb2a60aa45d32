"""What every test may use: a real PostgreSQL, embedded unless DATABASE_URL names another."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_syncer.embedded_pg import Embedded

QUICK = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB", "logging_collector": "off"}
"""The session's cluster does not outlive it, so it need not survive a power cut."""

UNPRIVILEGED = ("backup_syncer", "postgres", "daemon", "nobody")


def test_owner() -> pwd.struct_passwd:
    """Who runs PostgreSQL in tests: oneself, or, for root, an unprivileged user that the system has anyway."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    known = {user.pw_name: user for user in pwd.getpwall()}
    return next(known[name] for name in UNPRIVILEGED if name in known)


@pytest.fixture(scope="session")
def owner() -> pwd.struct_passwd:
    """The system user that PostgreSQL runs as in tests."""
    return test_owner()


@pytest.fixture(scope="session")
def postgres(owner: pwd.struct_passwd) -> Iterator[Embedded | None]:
    """The session's embedded PostgreSQL (one for each xdist worker); None when DATABASE_URL names a server."""
    if os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"):
        yield None
        return
    state = Path(os.environ["BACKUP_SYNCER_STATE"])
    server = Embedded(state, owner, options=QUICK, may_create=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, postgres: Embedded | None) -> None:
    """pytest-django asks for this before it makes the test database: the server must be up by then."""
