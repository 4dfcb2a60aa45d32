"""Run `export_run`: write a complete run in a format of another tool."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from scanner.db.errors import database_error_text
from scanner.errors import ExportError
from scanner.export import formats
from scanner.export.omissions import Omissions
from scanner.export.output import open_output
from scanner.lookup import find_run


class Command(BaseCommand):
    """Exit code 0 when everything is written, 1 when a file is missing in what was written, 2 when nothing was."""

    help = "Write the entries of a complete run in a format that other tools check or read."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("run", metavar="RUN", help="uuid of the run, or REPLICA-UUID:NUMBER")
        parser.add_argument("--format", required=True, choices=list(formats.FORMATS), help="output format")
        parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of stdout")
        parser.add_argument(
            "--prefix", metavar="DIR", help="put this directory before each name in a list of checksums"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Export the run; what the format could not express goes to stderr."""
        omissions = Omissions()
        try:
            run = find_run(options["run"])
            pieces = formats.export_run(run, options["format"], omissions, options["prefix"])
            with open_output(options["output"]) as file:
                file.writelines(pieces)
        except PermissionError as error:
            hint = "the command runs as the user of the system; without --output the shell writes: export_run … > FILE"
            raise CommandError(f"{error}: {hint}", returncode=2) from error
        except (LookupError, ExportError, OSError) as error:
            raise CommandError(str(error), returncode=2) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(database_error_text(error), returncode=2) from error

        for line in omissions.lines():
            self.stderr.write(line)
        if omissions.has_files:
            sys.exit(1)
