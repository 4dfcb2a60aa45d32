"""`export_run`: gives a complete run in the form of another tool."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from scanner.db.errors import database_says
from scanner.export import formats, report
from scanner.export.atomic_file import whole
from scanner.export.omissions import LeftOut
from scanner.lookup import find_run


class Command(BaseCommand):
    """Exit code 0 when all is said, 1 when a file is missing in what was written, 2 when nothing was written."""

    help = "Writes what a complete run found in a form that other tools check or read."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which run, in which form, and where to."""
        parser.add_argument("run", metavar="RUN", help="uuid of the run, or REPLICA-UUID:NUMBER")
        parser.add_argument("--format", required=True, choices=list(formats.FORMS), help="the form")
        parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of stdout")
        parser.add_argument("--prefix", metavar="DIR", help="put this directory before each name in a list of sums")

    def handle(self, *_args: Any, **options: Any) -> None:
        """One call; what the form could not say goes to stderr."""
        left_out = LeftOut()
        try:
            run = find_run(options["run"])
            pieces = formats.written(run, options["format"], left_out, options["prefix"])
            with whole(options["output"]) as file:
                file.writelines(pieces)
        except PermissionError as error:
            hint = "the command runs as the user of the system; without --output the shell writes: export_run … > FILE"
            raise CommandError(f"{error}: {hint}", returncode=2) from error
        except (LookupError, report.ExportError, OSError) as error:
            raise CommandError(str(error), returncode=2) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(database_says(error), returncode=2) from error
        for line in left_out.lines():
            self.stderr.write(line)
        if left_out.wrong:
            sys.exit(1)
