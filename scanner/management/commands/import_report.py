"""`import_report`: takes report files that came by hand."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scanner import offline


class Command(BaseCommand):
    """One line a file; a file that is not taken is told on stderr, and the others go on."""

    help = "Takes report files, signed ones (.jsonl, .jsonl.gz) and those in the project's old form."

    def add_arguments(self, parser: CommandParser) -> None:
        """The files, and what is said of unknown identities."""
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument(
            "--trust", action="append", default=[], type=_key, metavar="KEYID",
            help="take what this key signed: 64 hex digits, its public key or, when it is known here, its fingerprint",
        )  # fmt: skip
        parser.add_argument("--server", default="", metavar="NAME", help="name of the server that the files come from")
        parser.add_argument("--group", default="", metavar="NAME", help="name for a group that is new here")

    def handle(self, *_args: Any, **options: Any) -> None:
        """One call and one line a file."""
        operator = offline.Operator(options["trust"], options["server"].strip(), options["group"].strip())
        failed = 0
        for path in options["files"]:
            try:
                receipt = offline.take(path, operator)
            except offline.ImportFailed as error:
                failed += 1
                self.stderr.write(f"{path}: {error}")
                continue
            run = receipt.run
            known = "" if receipt.new else ", which was here already"
            self.stdout.write(f"{path}: run {run.sequence} of replica {run.replica.uuid} ({run.state}){known}")
        if failed:
            raise CommandError(f"{failed} of {len(options['files'])} files were not taken")


def _key(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ArgumentTypeError("64 hexadecimal digits are expected")
    return text.lower()
