"""Give every test a real PostgreSQL, embedded unless DATABASE_URL names another."""

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
from tests import skips
from tests.emptying import Emptying

QUICK = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB", "logging_collector": "off"}
"""The session's cluster does not outlive it, so it need not survive a power cut."""

UNPRIVILEGED = ("backup_syncer", "postgres", "daemon", "nobody")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our own options."""
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")
    parser.addoption(
        "--seeds", type=int, default=0, metavar="N", help="plant damage from so many seeds (default: 5; groups: 2)"
    )
    parser.addoption(
        "--skips",
        choices=("any", "listed", "none"),
        default="any",
        help="which skips are allowed: any, those of tests/allowed_skips.txt, or none (default: any)",
    )


def pytest_configure() -> None:
    """Processes inherit which signals are ignored: a suite that was started in the background must not hand that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --long the long tests are not part of the run."""
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skip that is not allowed turns a passed run into a failed one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    allowed_skips = session.config.getoption("--skips")
    if reporter is None or allowed_skips == "any" or hasattr(session.config, "workerinput"):
        return
    allowed = skips.read(skips.LIST.read_text(encoding="utf-8")) if allowed_skips == "listed" else []
    refused = skips.refused([skips.of(report) for report in reporter.stats.get("skipped", [])], allowed)
    for refused_skip in refused:
        reporter.write_line(f"SKIP NOT ALLOWED {refused_skip.test}: {refused_skip.reason}", red=True)
    if refused and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def unprivileged() -> pwd.struct_passwd:
    """Who runs PostgreSQL in tests: oneself, or, for root, an unprivileged user that the system has anyway."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    known = {user.pw_name: user for user in pwd.getpwall()}
    return next(known[name] for name in UNPRIVILEGED if name in known)


@pytest.fixture(autouse=True)
def language() -> None:
    """Each test begins in the default language: a request in another one leaves it set for its thread."""
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
    server = Embedded(state, owner, options=QUICK, may_create=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, postgres: Embedded | None) -> None:
    """pytest-django asks for this before it makes the test database: the server must be up by then."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[None]:
    """The tests' own database may be emptied between tests: the trigger that keeps the audit trail is off there."""
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE checker_act DISABLE TRIGGER acts_stay")
        emptying = Emptying()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda test: emptying(test))  # noqa: PLW0108  # it binds the test
        yield
