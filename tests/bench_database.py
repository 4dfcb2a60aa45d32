"""Start the embedded PostgreSQL with the settings of a real one, for a bench."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bench_database() -> Iterator[None]:
    """Run PostgreSQL in a temporary state directory, which the application's settings name, for a block.

    Nothing of the application is imported before the settings are named, so a bench imports it within the block.
    """
    with tempfile.TemporaryDirectory(prefix="bs-bench-", dir="/tmp") as directory:
        os.environ |= {"BACKUP_SYNCER_STATE": directory, "DJANGO_SETTINGS_MODULE": "backup_syncer.settings"}
        Path(directory, "keys").mkdir()
        from backup_syncer.launcher.postgres import Embedded
        from tests.conftest import unprivileged

        server = Embedded(Path(directory), unprivileged())
        server.start()
        try:
            yield
        finally:
            server.stop()
