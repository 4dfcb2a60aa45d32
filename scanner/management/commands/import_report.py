"""Run `import_report`: import report files that came by hand."""

from __future__ import annotations

import logging
import re
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError
from django.db.models import Model

from scanner.db.errors import database_error_text
from scanner.errors import ImportFailed, UnreadableFile
from scanner.formatting.names import visible_text
from scanner.ingest.import_files import ImportedRun, ImportOptions, import_file
from scanner.models import Group, Replica, Server, ServerKey


class Command(BaseCommand):
    """Exit code 0 when all files are imported, 1 when a file is refused, 2 when a file cannot be read."""

    help = "Import report files: signed ones (.jsonl, .jsonl.gz) and those in the project's first format."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="report file; - reads stdin")
        parser.add_argument(
            "--trust",
            action="append",
            default=[],
            type=_parse_key,
            metavar="KEY",
            help="take what this key signed: 64 hex digits, its public key or, when it is known here, its fingerprint",
        )
        parser.add_argument("--server", default="", metavar="NAME", help="name of the server that the files come from")
        parser.add_argument("--group", default="", metavar="NAME", help="name for a group that is new here")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import each file and write one line on it. A file that is refused does not keep the others back."""
        # Its lines on queued tasks are for the log of the system, not for the person at this terminal.
        logging.getLogger("django-q").setLevel(logging.WARNING)
        import_options = ImportOptions(options["trust"], options["server"].strip(), options["group"].strip())
        failures: list[ImportFailed] = []
        for path in options["files"]:
            try:
                self._report_import(path, import_file(path, import_options))
            except ImportFailed as error:
                failures.append(error)
                self.stderr.write(f"{path}: {error}")
            except (DatabaseError, InterfaceError) as error:
                raise CommandError(f"{path}: {database_error_text(error)}", returncode=2) from error

        if failures:
            is_unreadable = any(isinstance(error, UnreadableFile) for error in failures)
            raise CommandError(
                f"{len(failures)} of {len(options['files'])} files were not imported",
                returncode=2 if is_unreadable else 1,
            )

    def _report_import(self, path: Path, imported: ImportedRun) -> None:
        for row in imported.created:
            self.stdout.write(f"{path}: made {_describe(row)}")

        run = imported.run
        known = "" if imported.new else ", which was here already"
        self.stdout.write(f"{path}: run {run.sequence} of replica {run.replica.uuid} ({run.state}){known}")


def _describe(row: Model) -> str:
    if isinstance(row, ServerKey):
        return f"key {row.keyid} of server {visible_text(row.server.name)}"
    if isinstance(row, Replica):
        return f"replica {row.uuid}, not enabled, root {visible_text(row.root)}"

    assert isinstance(row, (Server, Group))
    return f"{row._meta.model_name} {row.uuid}, named {visible_text(row.name)}"


def _parse_key(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ArgumentTypeError("64 hexadecimal digits are expected")
    return text.lower()
