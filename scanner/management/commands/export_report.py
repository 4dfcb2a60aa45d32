"""Run `export_report`: write a report, or all reports of a replica, as they were signed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scanner.errors import ExportError
from scanner.export.chain import export_chain
from scanner.export.output import open_output
from scanner.export.report import export_report
from scanner.lookup import find_replica, find_run


class Command(BaseCommand):
    """Exit code 0 when everything is written whole, 1 when something is missing, 2 when nothing could be written."""

    help = "Write the report of a run, or of all runs of a replica, byte for byte as the server signed it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("run", metavar="RUN", nargs="?", help="uuid of the run, or REPLICA-UUID:NUMBER")
        source.add_argument("--replica", metavar="UUID", help="all runs of this replica, one file each")
        parser.add_argument(
            "--output",
            type=Path,
            metavar="FILE",
            help="write to this file instead of stdout; with --replica, to this directory",
        )
        parser.add_argument("--gzip", action="store_true", help="compress")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Export one report or a chain."""
        output: Path | None = options["output"]
        try:
            if options["replica"] is None:
                run = find_run(options["run"])
                with open_output(output, options["gzip"]) as file:
                    file.writelines(export_report(run))
                return
            is_complete = self._export_chain(options["replica"], output, options["gzip"])
        except PermissionError as error:
            if output is None:
                raise CommandError(str(error)) from error
            hint = "the command runs as the user of the system; export_report RUN > FILE writes as the shell may"
            raise CommandError(f"{error}: {hint}", returncode=2) from error
        except (LookupError, ExportError, OSError) as error:
            raise CommandError(str(error)) from error

        if not is_complete:
            sys.exit(1)

    def _export_chain(self, replica: str, directory: Path | None, compressed: bool) -> bool:
        """Export all runs of a replica. Return whether each is whole; say which are not."""
        if directory is None:
            raise CommandError("--replica writes a file for each run: give a directory with --output", returncode=2)

        run_count = 0
        problem_count = 0
        for exported in export_chain(find_replica(replica), directory, compressed):
            run_count += 1
            if exported.problem:
                problem_count += 1
                rest = "nothing is written"
                if exported.name:
                    rest = f"{exported.name} holds its line 1 alone"
                self.stderr.write(f"{exported.problem}: {rest}")

        self.stderr.write(f"{run_count} runs, of which {run_count - problem_count} are whole, are in {directory}")
        return problem_count == 0
