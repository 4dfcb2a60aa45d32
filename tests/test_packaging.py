"""Build from the source: a wheel with two commands, and the collector as one file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import tomllib

import backup_syncer
from tests.pythons import find_python

ROOT = Path(__file__).resolve().parent.parent
OLDEST = "3.9"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy without the network."""
    copy = tmp_path_factory.mktemp("source")
    out = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README_eng.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("backup_syncer", "checker", "scanner", "docs", "templates"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(out),
    ]
    done = subprocess.run([*pip, str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(out.iterdir())


def test_wheel_gives_two_commands(wheel: Path) -> None:
    """`backup-syncer` and `backup-syncer-collector`."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        lines = set(archive.read(name).decode().splitlines())
    assert "backup-syncer = backup_syncer.__main__:main" in lines
    assert "backup-syncer-collector = scanner.collector.__main__:main" in lines


def test_wheel_holds_everything_that_is_not_python(wheel: Path) -> None:
    """Templates, static files and translations travel along; tests do not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for package in ("backup_syncer", "checker", "scanner"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(ROOT).as_posix() in names
    for directory in ("docs", "templates"):
        for path in (ROOT / directory).rglob("*"):
            if path.is_file():
                assert f"backup_syncer/{path.relative_to(ROOT).as_posix()}" in names
    assert not any(name.startswith("tests/") for name in names)


def test_versions_agree(wheel: Path) -> None:
    """The package, its metadata and the newest entry of the change log name one version."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    newest = next(
        line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line.startswith("## [")
    )
    assert metadata["Version"] == backup_syncer.__version__ == newest.split("[")[1].split("]")[0]
    assert metadata["License-Expression"] == "MIT"


def test_every_pin_is_hashed_and_names_no_address() -> None:
    """A package index that is broken into cannot slip in another file, and each machine uses its own index."""
    for path in ROOT.glob("requirements*.txt"):
        text = path.read_text(encoding="utf-8")
        pins = [line for line in text.splitlines() if "==" in line and not line.startswith((" ", "#"))]
        assert pins
        assert all(line.endswith("\\") for line in pins)
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text


def test_runtime_pins_cover_the_dependencies() -> None:
    """Each declared dependency has its pin."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    for requirement in declared:
        name = requirement.split("[")[0].split(">")[0].split("=")[0].lower()
        assert f"\n{name}==" in f"\n{pins}" or f"\n{name}[" in f"\n{pins}", name


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one-file collector, as the shell script builds it."""
    out = tmp_path_factory.mktemp("pyz") / "backup-syncer-collector.pyz"
    done = subprocess.run(["sh", str(ROOT / "deploy/build_collector.sh"), str(out)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def oldest_python() -> str:
    """A Python 3.9, wherever it is."""
    place = find_python(OLDEST)
    if place is not None:
        return place
    pytest.skip(f"no Python {OLDEST} found")


def test_collector_file_is_reproducible(collector: Path, tmp_path: Path) -> None:
    """The same source gives the same bytes, so that anybody can compare digests."""
    subprocess.run(["sh", str(ROOT / "deploy/build_collector.sh"), str(tmp_path / "again.pyz")], check=True)
    assert collector.read_bytes() == (tmp_path / "again.pyz").read_bytes()
    assert collector.stat().st_mode & 0o111


def test_collector_file_holds_no_django() -> None:
    """Nothing of the server's half is packed."""
    sys.path.insert(0, str(ROOT / "deploy"))
    try:
        import build_collector  # lies beside the scripts and not in a package
    finally:
        sys.path.pop(0)
    for path in build_collector.sources():
        assert "import django" not in path.read_text(encoding="utf-8")


def test_collector_file_runs_on_the_oldest_python(collector: Path, tmp_path: Path) -> None:
    """Python 3.9 without any package hashes a tree, signs, and verifies what it wrote."""
    python = oldest_python()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(b"contents")
    config = tmp_path / "collector.conf"
    config.write_text(f"[collector]\nstate = {tmp_path / 'state'}\n")
    command = [python, "-I", str(collector), "--config", str(config)]
    ran = subprocess.run(
        [*command, "run", "--local", str(tmp_path / "tree"), "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert ran.returncode == 0, ran.stderr
    report = next((tmp_path / "out").iterdir())
    checked = subprocess.run([*command, "verify", str(report)], capture_output=True, text=True, check=False, cwd="/")
    assert checked.returncode == 0, checked.stderr


def test_collector_file_refuses_an_older_python(collector: Path) -> None:
    """One clear line instead of a syntax error."""
    older = find_python("3.8") or find_python("3.7") or find_python("3.6")
    if older is None:
        pytest.skip("no Python older than 3.9 found")
    done = subprocess.run([older, str(collector)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs Python 3.9" in done.stderr
