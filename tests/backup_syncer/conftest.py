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

from backup_syncer.launcher.postgres import Embedded
from backup_syncer.launcher.service_user import run_as

ROOT = Path(__file__).resolve().parent.parent.parent
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short path (a Unix socket lies below) that other users may pass through, unlike tmp_path."""
    directory = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def cluster(short: Path, owner: pwd.struct_passwd) -> Iterator[Embedded]:
    """A cluster of the test's own, not started; stopped whatever the test did."""
    server = Embedded(short / "state", owner, options={"shared_buffers": "16MB"})
    yield server
    server.stop()


@pytest.fixture(scope="session")
def python(owner: pwd.struct_passwd) -> Iterator[Path]:
    """A Python with the project that the services can run: this one, or one that the quick start would make."""
    import_command = [sys.executable, "-P", "-c", "import backup_syncer"]
    try:
        subprocess.run(
            import_command, env={"PYTHONPATH": str(ROOT)}, cwd="/", check=True, capture_output=True, **run_as(owner)
        )
    except (OSError, subprocess.CalledProcessError):
        with tempfile.TemporaryDirectory(prefix="bs-venv-", dir="/tmp") as directory:
            Path(directory).chmod(0o755)
            yield installed(Path(directory) / "venv")
    else:
        yield Path(sys.executable)


def installed(where: Path) -> Path:
    """An environment made by the scripts of `deploy/`."""
    find = f'. "{ROOT}/deploy/find_python.sh"; find_python'
    interpreter = subprocess.run(["sh", "-c", find], capture_output=True, text=True, check=False).stdout.strip()
    if not interpreter:
        pytest.skip("no Python that other users than root can run")
    code = (
        "import sys, pathlib, virtual_environment as v\n"
        "v.make_environment(pathlib.Path(sys.argv[1]), ('requirements.txt', 'requirements-build.txt'), project=True)"
    )
    completed = subprocess.run(
        [interpreter, "-B", "-c", code, str(where)], cwd=ROOT / "deploy", capture_output=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    return where / "bin" / "python"


@pytest.fixture
def environment(short: Path) -> dict[str, str]:
    """The environment of a process of the project, without the test run's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_SYNCER_", "DJANGO_"))}
    kept.pop("DATABASE_URL", None)
    return kept | {"BACKUP_SYNCER_STATE": str(short / "state"), "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    """Run `backup-syncer` with these arguments and settings, in a state directory that is set up."""
    (Path(environment["BACKUP_SYNCER_STATE"]) / "keys").mkdir(mode=0o700, parents=True)

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "backup_syncer", *arguments]
        env = environment | settings
        return subprocess.run(line, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False)

    return run
