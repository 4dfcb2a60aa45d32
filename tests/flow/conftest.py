"""A system of real processes for the tests of this directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_syncer.launcher.postgres import Embedded
from backup_syncer.state_directory import embedded_url
from tests.flow.processes import RunningSystem, running


@pytest.fixture(scope="session")
def pattern(postgres: Embedded | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A system that is set up and never started: what the others are copied from."""
    url = os.environ["DATABASE_URL"] if postgres is None else embedded_url(Path(os.environ["BACKUP_SYNCER_STATE"]))
    system = RunningSystem(tmp_path_factory.mktemp("pattern"), url)
    system.set_up()
    yield system
    system.stop()


@pytest.fixture
def system(pattern: RunningSystem, tmp_path: Path) -> Iterator[RunningSystem]:
    """Web server, task cluster and database; gone after the test."""
    with running(tmp_path / "central", pattern.maintenance, pattern) as system:
        yield system
