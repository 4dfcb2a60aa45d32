"""Places with short paths, where the unprivileged owner of test servers can go, and commands of the project."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_syncer.embedded_pg import Embedded

ROOT = Path(__file__).resolve().parent.parent.parent
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path (a Unix socket lies below) that other users may pass through, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def cluster(short: Path, owner: pwd.struct_passwd) -> Iterator[Embedded]:
    """A cluster of the test's own, not started; stopped whatever the test did."""
    server = Embedded(short / "state", owner, options={"shared_buffers": "16MB"})
    yield server
    server.stop()


@pytest.fixture
def environment(short: Path) -> dict[str, str]:
    """What a process of the project is started with: nothing of the test run's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_SYNCER_", "DJANGO_"))}
    kept.pop("DATABASE_URL", None)
    return kept | {"BACKUP_SYNCER_STATE": str(short / "state"), "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    """Run `backup-syncer` with these arguments and settings."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "backup_syncer", *arguments]
        env = environment | settings
        return subprocess.run(line, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False)

    return run
