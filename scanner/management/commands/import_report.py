"""`import_report`: takes report files that came by hand."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError
from django.db.models import Model

from scanner.db.errors import database_says
from scanner.formatting.names import plain_shown
from scanner.ingest import import_files
from scanner.models import Group, Replica, Server, ServerKey


class Command(BaseCommand):
    """One line a file; a file that is not taken is told on stderr, and the others go on."""

    help = "Takes report files, signed ones (.jsonl, .jsonl.gz) and those in the project's old form."

    def add_arguments(self, parser: CommandParser) -> None:
        """The files, and what is said of unknown identities."""
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="- is stdin")
        parser.add_argument(
            "--trust", action="append", default=[], type=_key, metavar="KEY",
            help="take what this key signed: 64 hex digits, its public key or, when it is known here, its fingerprint",
        )  # fmt: skip
        parser.add_argument("--server", default="", metavar="NAME", help="name of the server that the files come from")
        parser.add_argument("--group", default="", metavar="NAME", help="name for a group that is new here")

    def handle(self, *_args: Any, **options: Any) -> None:
        """One call and one line a file. Exit code 1 when a file is refused, 2 when one could not be looked at."""
        operator = import_files.Operator(options["trust"], options["server"].strip(), options["group"].strip())
        failures: list[import_files.ImportFailed] = []
        for path in options["files"]:
            try:
                self._tell(path, import_files.take(path, operator))
            except import_files.ImportFailed as error:
                failures.append(error)
                self.stderr.write(f"{path}: {error}")
            except (DatabaseError, InterfaceError) as error:
                raise CommandError(f"{path}: {database_says(error)}", returncode=2) from error
        if failures:
            code = 2 if any(isinstance(error, import_files.Unreadable) for error in failures) else 1
            raise CommandError(f"{len(failures)} of {len(options['files'])} files were not taken", returncode=code)

    def _tell(self, path: Path, taken: import_files.Taken) -> None:
        for row in taken.made:
            self.stdout.write(f"{path}: made {_named(row)}")
        run = taken.run
        known = "" if taken.new else ", which was here already"
        self.stdout.write(f"{path}: run {run.sequence} of replica {run.replica.uuid} ({run.state}){known}")


def _named(row: Model) -> str:
    if isinstance(row, ServerKey):
        return f"key {row.keyid} of server {plain_shown(row.server.name)}"
    if isinstance(row, Replica):
        return f"replica {row.uuid}, not enabled, root {plain_shown(row.root)}"
    assert isinstance(row, (Server, Group))
    return f"{row._meta.model_name} {row.uuid}, named {plain_shown(row.name)}"


def _key(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ArgumentTypeError("64 hexadecimal digits are expected")
    return text.lower()
