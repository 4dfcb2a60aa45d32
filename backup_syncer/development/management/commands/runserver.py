"""`runserver`: Django's development server, with the task cluster beside it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from django.contrib.staticfiles.management.commands.runserver import Command as StaticFilesCommand
from django.core.management.base import CommandParser

from backup_syncer.bundled import PACKAGE
from backup_syncer.launcher.parent_death import die_with_parent


class Command(StaticFilesCommand):
    """Serve the pages, and run the task cluster in a child process that is restarted with the code."""

    help = "Starts the development server and the task cluster. Both are restarted when a file changes."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--no-cluster` to the options of Django's command."""
        super().add_arguments(parser)
        parser.add_argument("--no-cluster", action="store_true", help="serve the pages alone, without the task cluster")

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Serve until the process ends or is restarted."""
        if options["no_cluster"]:
            super().inner_run(*args, **options)
            return

        with _task_cluster():
            super().inner_run(*args, **options)


@contextlib.contextmanager
def _task_cluster() -> Iterator[None]:
    """Run the task cluster while the context lasts. On Linux it also ends when this process is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "backup_syncer.development", "qcluster"],
        cwd=PACKAGE.parent,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  # it calls prctl and nothing else
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()
