"""`export_report`: gives a report, or all reports of a replica, back as they were signed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scanner.export import chain, report
from scanner.export.atomic_file import whole
from scanner.lookup import find_replica, find_run


class Command(BaseCommand):
    """Writes the uncompressed report, byte for byte, unless --gzip is given."""

    help = "Writes the report of a run, or of all runs of a replica, byte for byte as the server signed it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which run, or which chain, and where to."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("run", metavar="RUN", nargs="?", help="uuid of the run, or REPLICA-UUID:NUMBER")
        what.add_argument("--replica", metavar="UUID", help="all runs of this replica, a file each")
        parser.add_argument(
            "--output", type=Path, metavar="FILE", help="write to this file instead of stdout; a folder with --replica"
        )
        parser.add_argument("--gzip", action="store_true", help="compress")

    def handle(self, *_args: Any, **options: Any) -> None:
        """One call."""
        try:
            if options["replica"] is None:
                run = find_run(options["run"])
                with whole(options["output"], options["gzip"]) as file:
                    file.writelines(report.report(run))
                return
            complete = self._chain(options)
        except PermissionError as error:
            if options["output"] is None:
                raise CommandError(str(error)) from error
            hint = "the command runs as the user of the system; export_report RUN > FILE writes as the shell may"
            raise CommandError(f"{error}: {hint}", returncode=2) from error
        except (LookupError, report.ExportError, OSError) as error:
            raise CommandError(str(error)) from error
        if not complete:
            sys.exit(1)

    def _chain(self, options: dict[str, Any]) -> bool:
        """Whether every run was given as it was signed; what was not is told."""
        if options["output"] is None:
            raise CommandError("--replica writes a file for each run: give the folder with --output", returncode=2)
        number = lacking = 0
        for given in chain.give(find_replica(options["replica"]), options["output"], options["gzip"]):
            number += 1
            if given.lacks:
                lacking += 1
                rest = f"{given.name} holds its line 1 alone" if given.name else "nothing is written"
                self.stderr.write(f"{given.lacks}: {rest}")
        self.stderr.write(f"{number} runs, of which {number - lacking} are whole, are in {options['output']}")
        return not lacking
