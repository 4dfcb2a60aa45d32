"""`test`: run the project's tests, which are written for pytest."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from django.core.management.base import BaseCommand

from backup_syncer.bundled import PACKAGE

SET_BY_MANAGE = ("BACKUP_SYNCER_STATE", "DJANGO_SETTINGS_MODULE", "SECRET_KEY")


class Command(BaseCommand):
    """Hand all arguments to pytest."""

    help = "Runs the tests with pytest; everything after `test` is passed on to it, e.g. -k NAME or a path."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run pytest in a process of its own: it needs the settings of the tests. Exit with its code."""
        if importlib.util.find_spec("pytest") is None:
            sys.stderr.write("test: pytest is not installed: pip install --require-hashes -r requirements-dev.txt\n")
            sys.exit(2)

        environment = {name: value for name, value in os.environ.items() if name not in SET_BY_MANAGE}
        command = [sys.executable, "-m", "pytest", *argv[2:]]
        completed = subprocess.run(command, cwd=PACKAGE.parent, env=environment, check=False)
        sys.exit(completed.returncode)

    def handle(self, *_args: object, **_options: object) -> None:
        """Run the whole suite: what `call_command("test")` asks for."""
        self.run_from_argv(["manage.py", "test"])
