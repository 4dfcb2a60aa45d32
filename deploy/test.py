"""Make the test environment and run lint, format, types and tests; any of them can fail. See test.sh."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import virtual_environment

REQUIREMENTS = ("requirements-dev.txt", "requirements-build.txt")
DEBIAN_PACKAGES = (
    "busybox",
    "chromium",
    "e2fsprogs",
    "fonts-dejavu-core",
    "gettext",
    "git",
    "hashdeep",
    "iproute2",
    "libdigest-sha-perl",
    "openssl",
    "perl",
    "procps",
    "python3-venv",
    "rclone",
    "rhash",
    "rsync",
    "rust-coreutils",
)
"""What tests use beyond Python: real tools to hold the engines against, and a real browser."""


def main() -> int:
    """Run what the command line asks for. Return 0 when everything passed."""
    options, pytest_arguments = _options().parse_known_args()
    try:
        if options.all:
            _install_debian_packages()
        python = virtual_environment.make(virtual_environment.CHECKOUT / ".venv", REQUIREMENTS, project=False)
    except virtual_environment.NotInstalled as error:
        sys.stderr.write(f"test: {error}\n")
        return 2

    steps = [("tests", _pytest(python, options, pytest_arguments))]
    if _with_lint(options, pytest_arguments):
        steps = [*_lint(python), *steps]
    elif pytest_arguments and not options.no_lint:
        sys.stderr.write("test: only these tests, in one process; --lint adds lint and types, -n N more processes\n")

    failed = [name for name, command in steps if not _passes(name, command)]
    sys.stderr.write(f"\ntest: FAILED: {', '.join(failed)}\n" if failed else "\ntest: everything passed\n")
    return 1 if failed else 0


def _with_lint(options: argparse.Namespace, pytest_arguments: list[str]) -> bool:
    """Return whether to lint: always before the whole suite, and before chosen tests when --lint asks for it."""
    if options.no_lint:
        return False
    return options.lint or not pytest_arguments


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="test.sh",
        description="Set-up and the whole test suite, against the embedded PostgreSQL or the server of DATABASE_URL.",
        epilog="Everything else is passed on to pytest, e.g. -k NAME or a path: then these tests alone, at once.",
    )
    options.add_argument("--all", action="store_true", help="as root on Debian: install what tests use, allow no skip")
    options.add_argument("--long", action="store_true", help="the tests that take minutes, too")
    options.add_argument("--seeds", metavar="N", help="plant damage from so many seeds instead of 5, or 2")
    options.add_argument("--lint", action="store_true", help="ruff and mypy even when pytest's arguments choose tests")
    options.add_argument("--no-lint", action="store_true", help="the tests alone, without ruff and mypy")
    return options


def _lint(python: Path) -> list[tuple[str, list[str]]]:
    here = python.parent
    return [
        ("lint", [str(here / "ruff"), "check", "."]),
        ("format", [str(here / "ruff"), "format", "--check", "."]),
        ("types", [str(here / "mypy")]),
    ]


def _pytest(python: Path, options: argparse.Namespace, pytest_arguments: list[str]) -> list[str]:
    command = [str(python), "-X", "dev", "-m", "pytest", "--skips", "none" if options.all else "listed"]
    if not pytest_arguments:
        # Chosen tests start sooner without workers.
        command += ["-n", str(min(8, max(2, len(_cores())))), "--dist", "loadgroup"]
    if options.long:
        command.append("--long")
    if options.seeds:
        command += ["--seeds", options.seeds]
    return [*command, *pytest_arguments]


def _cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _passes(name: str, command: list[str]) -> bool:
    sys.stderr.write(f"\n== {name}\n")
    sys.stderr.flush()
    began = time.monotonic()
    code = subprocess.run(command, cwd=virtual_environment.CHECKOUT, env=_environment(), check=False).returncode
    sys.stderr.write(
        f"== {name}: {'passed' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - began:.0f} s\n"
    )
    return code == 0


def _environment() -> dict[str, str]:
    """Nothing of this machine's own settings reaches the tests; a database that was named does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_SYNCER_", "DJANGO_"))}
    development = {"PYTHONDEVMODE": "1", "PYTHONMALLOC": "pymalloc"}  # without debug hooks, which cost a twelfth
    return kept | development | {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}


def _install_debian_packages() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise virtual_environment.NotInstalled("--all installs Debian packages: run it as root on Debian")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *DEBIAN_PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise virtual_environment.NotInstalled(f"apt-get {command[0]}: {done.stderr.strip().splitlines()[-1:]}")


if __name__ == "__main__":
    sys.exit(main())
