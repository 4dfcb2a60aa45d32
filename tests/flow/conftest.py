"""A system of real processes for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_syncer.embedded_pg import Embedded
from backup_syncer.state_folder import embedded_url
from tests.flow.processes import RunningSystem, running


@pytest.fixture
def system(postgres: Embedded | None, tmp_path: Path) -> Iterator[RunningSystem]:
    """Web server, task cluster and database; gone after the test."""
    url = os.environ["DATABASE_URL"] if postgres is None else embedded_url(Path(os.environ["BACKUP_SYNCER_STATE"]))
    with running(tmp_path / "central", url) as system:
        yield system
