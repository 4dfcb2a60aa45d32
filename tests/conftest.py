"""Give every test a real PostgreSQL: the embedded one unless DATABASE_URL names another."""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_django
from django.db import connection
from django.test import TransactionTestCase
from django.utils import translation

from backup_syncer.launcher.postgres import Embedded
from tests.database_reset import DatabaseReset
from tests.skips import ALLOWED_SKIPS, parse_allowed_skips, refused_skips, skip_of_report

FAST_POSTGRES = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "128MB",
    "logging_collector": "off",
}
"""The session's cluster does not outlive it, so it need not survive a power cut."""

UNPRIVILEGED_USERS = ("backup_syncer", "postgres", "daemon", "nobody")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the project's own options."""
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")
    parser.addoption(
        "--seeds", type=int, default=0, metavar="N", help="plant damage from N seeds (default: 2; groups: 1)"
    )
    parser.addoption(
        "--walks", type=int, default=300, metavar="N", help="judge copies over N random histories (default: 300)"
    )
    parser.addoption(
        "--write-screenshots", action="store_true", help="write the README's pictures to docs/images (tests/browser)"
    )
    parser.addoption(
        "--skips",
        choices=("any", "listed", "none"),
        default="any",
        help="which skips are allowed: any, those of tests/allowed_skips.txt, or none (default: any)",
    )


def pytest_configure() -> None:
    """Restore the handling of signals: a suite that runs in the background ignores some, which children inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the long tests unless --long is set."""
    if config.getoption("--long"):
        return
    long_tests = [item for item in items if item.get_closest_marker("long")]
    if long_tests:
        config.hook.pytest_deselected(items=long_tests)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that passed but skipped a test that must not be skipped here."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    choice = session.config.getoption("--skips")
    is_xdist_worker = hasattr(session.config, "workerinput")
    if reporter is None or choice == "any" or is_xdist_worker:
        return

    allowed = parse_allowed_skips(ALLOWED_SKIPS.read_text(encoding="utf-8")) if choice == "listed" else []
    skips = [skip_of_report(report) for report in reporter.stats.get("skipped", [])]
    refused = refused_skips(skips, allowed)
    for skip in refused:
        reporter.write_line(f"SKIP NOT ALLOWED {skip.test}: {skip.reason}", red=True)
    if refused and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def unprivileged() -> pwd.struct_passwd:
    """Return the user who runs PostgreSQL: this one, or, for root, an unprivileged user that every system has."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    users = {user.pw_name: user for user in pwd.getpwall()}
    return next(users[name] for name in UNPRIVILEGED_USERS if name in users)


@pytest.fixture(autouse=True)
def language() -> None:
    """Start in the default language: a request in another one leaves it set for its thread."""
    translation.deactivate()


@pytest.fixture(scope="session")
def owner() -> pwd.struct_passwd:
    """The system user that PostgreSQL runs as in tests."""
    return unprivileged()


@pytest.fixture(scope="session")
def postgres(owner: pwd.struct_passwd) -> Iterator[Embedded | None]:
    """The session's embedded PostgreSQL (one for each xdist worker); None when DATABASE_URL names a server."""
    if os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"):
        yield None
        return
    state = Path(os.environ["BACKUP_SYNCER_STATE"])
    server = Embedded(state, owner, options=FAST_POSTGRES, may_create=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, postgres: Embedded | None) -> None:
    """Start the server before pytest-django makes the test database: it asks for this fixture first."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[None]:
    """Reset the database between tests. The trigger that protects the audit log is off, since it forbids that."""
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE checker_act DISABLE TRIGGER acts_stay")
        reset = DatabaseReset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda test: reset(test))  # noqa: PLW0108  # it binds the test
        yield
