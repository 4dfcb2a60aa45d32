"""The form that the commands of `checker` share: each answers one question with its exit code."""

from __future__ import annotations

import argparse
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from scanner.db.errors import database_error_text
from scanner.errors import StoreError

NOT_ANSWERED = 2


class QuestionCommand(BaseCommand, ABC):
    """A command whose exit code is 0 for all is well, 1 for something was found, and 2 for no answer."""

    def handle(self, *_args: Any, **options: Any) -> None:
        """Answer the question. Raise CommandError, with exit code 2, when there is no answer."""
        try:
            has_findings = self.answer(options)
        except (LookupError, StoreError) as error:
            raise CommandError(str(error), returncode=NOT_ANSWERED) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(database_error_text(error), returncode=NOT_ANSWERED) from error
        if has_findings:
            sys.exit(1)

    @abstractmethod
    def answer(self, options: dict[str, Any]) -> bool:
        """Write the answer to stdout. Return whether something was found. Raise LookupError when there is none."""

    def write_lines(self, lines: Iterable[str]) -> None:
        """Write lines to stdout."""
        for line in lines:
            self.stdout.write(line)

    def write_file(self, pieces: Iterable[bytes]) -> None:
        """Write the text of a file to stdout, unchanged."""
        for piece in pieces:
            self.stdout.write(piece.decode(), ending="")


def add_format_options(parser: CommandParser, *, json_help: str, csv_help: str) -> None:
    """Add --json and --csv, of which one at most may be given."""
    formats: argparse._MutuallyExclusiveGroup = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help=json_help)
    formats.add_argument("--csv", action="store_true", help=csv_help)


def chosen_format(options: dict[str, Any]) -> str:
    """Return the file format that was asked for, `csv` or `jsonl`; empty for text."""
    if options["csv"]:
        return "csv"
    if options["json"]:
        return "jsonl"
    return ""
