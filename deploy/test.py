"""Make the test environment and run lint, format, types and tests. See test.sh."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import virtual_environment
from virtual_environment import CHECKOUT, InstallationError

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
"""What tests use beyond Python: real tools to compare the engines with, and a real browser."""

PASSED = 0
FAILED = 1
NOT_RUN = 2


class Step(NamedTuple):
    """One command, which passes when its exit code is 0."""

    name: str
    command: list[str]


def main() -> int:
    """Run what the command line asks for. Return PASSED, FAILED or NOT_RUN."""
    options, pytest_arguments = _parser().parse_known_args()
    try:
        if options.all:
            _install_debian_packages()
        python = virtual_environment.make_environment(CHECKOUT / ".venv", REQUIREMENTS, project=False)
    except InstallationError as error:
        sys.stderr.write(f"test: {error}\n")
        return NOT_RUN

    steps = []
    if _wants_lint(options, pytest_arguments):
        steps = _lint_steps(python)
    elif pytest_arguments and not options.no_lint:
        sys.stderr.write("test: only these tests, in one process; --lint adds lint and types, -n N more processes\n")
    steps.append(Step("tests", _pytest_command(python, options, pytest_arguments)))

    failed = [step.name for step in steps if not _passes(step)]
    if failed:
        sys.stderr.write(f"\ntest: FAILED: {', '.join(failed)}\n")
        return FAILED

    sys.stderr.write("\ntest: everything passed\n")
    return PASSED


def _wants_lint(options: argparse.Namespace, pytest_arguments: list[str]) -> bool:
    """Return whether to lint: always before the whole suite, and before chosen tests when --lint asks for it."""
    if options.no_lint:
        return False
    return options.lint or not pytest_arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="test.sh",
        description="Set-up and the whole test suite, against the embedded PostgreSQL or the server of DATABASE_URL.",
        epilog="Everything else is passed on to pytest, e.g. -k NAME or a path: then these tests alone, at once.",
    )
    parser.add_argument(
        "--all", action="store_true", help="as root on Debian: install what tests use, and allow no skip"
    )
    parser.add_argument("--long", action="store_true", help="also run the tests that take minutes")
    parser.add_argument("--seeds", metavar="N", help="plant damage from N seeds (default: 2; groups: 1)")
    parser.add_argument(
        "--lint", action="store_true", help="ruff, mypy and djlint even when pytest's arguments choose tests"
    )
    parser.add_argument("--no-lint", action="store_true", help="run only the tests, without ruff, mypy and djlint")
    return parser


def _lint_steps(python: Path) -> list[Step]:
    programs = python.parent
    return [
        Step("lint", [str(programs / "ruff"), "check", "."]),
        Step("format", [str(programs / "ruff"), "format", "--check", "."]),
        Step("types", [str(programs / "mypy")]),
        Step("templates", [str(programs / "djlint"), "templates", "--lint", "--quiet"]),
    ]


def _pytest_command(python: Path, options: argparse.Namespace, pytest_arguments: list[str]) -> list[str]:
    skips = "listed"
    if options.all:
        skips = "none"

    command = [str(python), "-X", "dev", "-m", "pytest", "--skips", skips]
    if not pytest_arguments:
        # Chosen tests start sooner without workers.
        command += ["-n", str(min(8, max(2, _count_cores()))), "--dist", "loadgroup"]
    if options.long:
        command.append("--long")
    if options.seeds:
        command += ["--seeds", options.seeds]
    return [*command, *pytest_arguments]


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _passes(step: Step) -> bool:
    """Run a step, with its output on the terminal. Return whether it passed."""
    sys.stderr.write(f"\n== {step.name}\n")
    sys.stderr.flush()

    started = time.monotonic()
    code = subprocess.run(step.command, cwd=CHECKOUT, env=_environment(), check=False).returncode
    outcome = "passed"
    if code:
        outcome = f"FAILED ({code})"
    sys.stderr.write(f"== {step.name}: {outcome} in {time.monotonic() - started:.0f} s\n")
    return code == 0


def _environment() -> dict[str, str]:
    """Return the environment of a step: none of this machine's own settings, but DATABASE_URL if it is set."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_SYNCER_", "DJANGO_"))
    }

    environment["PYTHONDEVMODE"] = "1"
    # Without the debug hooks of development mode, which cost a twelfth of the time.
    environment["PYTHONMALLOC"] = "pymalloc"
    # Hundreds of processes start in the course of the tests: each would compile the sources anew.
    environment["PYTHONPYCACHEPREFIX"] = str(CHECKOUT / ".venv" / "pycache")
    environment["LC_ALL"] = "C.UTF-8"
    return environment


def _install_debian_packages() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise InstallationError("--all installs Debian packages: run it as root on Debian")

    _run_apt("update", "-qq")
    _run_apt("install", "-y", "-qq", "--no-install-recommends", *DEBIAN_PACKAGES)


def _run_apt(command: str, *arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    process = subprocess.run(
        ["apt-get", command, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise InstallationError(f"apt-get {command}: {process.stderr.strip().splitlines()[-1:]}")


if __name__ == "__main__":
    sys.exit(main())
