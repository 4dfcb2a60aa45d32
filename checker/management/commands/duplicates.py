"""`duplicates`: the same content under several paths of a replica or of a group's replicas."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from checker.duplicates import export, places, queries
from checker.duplicates.places import Place
from checker.duplicates.queries import DuplicateFilter, DuplicatePath, Totals
from scanner.db.errors import database_error_text
from scanner.errors import StoreError
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import local_time


class Command(BaseCommand):
    """Exit code 0 when there are no duplicates, 1 when there are some, 2 when they could not be looked for."""

    help = "Says which contents a replica, or each replica of a group, holds more than once, and what that costs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where, how much, in which form."""
        parser.add_argument("place", metavar="REPLICA|GROUP", help="uuid of a replica; name or uuid of a group")
        parser.add_argument("--least", type=int, default=0, metavar="BYTES", help="only what wastes so much or more")
        parser.add_argument("--limit", type=int, metavar="N", help="only the N contents that waste most")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="JSON Lines, one content a line")
        form.add_argument("--csv", action="store_true", help="a table for a spreadsheet, one path a row")

    def handle(self, *_args: Any, **options: Any) -> None:
        """A head and a paragraph for each content, or a file's text on stdout."""
        wish = DuplicateFilter(min_waste=options["least"], max_contents=options["limit"])
        try:
            place = self._place(options["place"], wish)
            totals = queries.read_page(place, wish, limit=0).totals
            if options["json"] or options["csv"]:
                for piece in export.export_bytes(place, wish, "csv" if options["csv"] else "jsonl"):
                    self.stdout.write(piece.decode(), ending="")
            else:
                for line in _words(place, wish, totals):
                    self.stdout.write(line)
        except (LookupError, StoreError) as error:
            raise CommandError(str(error), returncode=2) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(database_error_text(error), returncode=2) from error
        if totals.contents:
            sys.exit(1)

    def _place(self, name: str, wish: DuplicateFilter) -> Place:
        if wish.min_waste < 0 or (wish.max_contents is not None and wish.max_contents < 1):
            raise LookupError("--least takes no negative number, --limit a positive one")
        place = places.find_place(name)
        if not place.runs:
            raise LookupError(f"there is no complete run to look at: {visible_text(str(place.replica or place.group))}")
        for replica in place.replicas_without_run:
            self.stderr.write(f"Not looked at, since it has no complete run yet: {visible_text(str(replica))}")
        return place


def _words(place: Place, wish: DuplicateFilter, totals: Totals) -> Iterator[str]:
    """What a person reads."""
    for run in place.runs:
        yield f"{visible_text(str(run.replica))}, run {run.sequence} ({local_time(run.finished_at)})"
    if not totals.contents:
        yield "No duplicates."
        return
    yield (
        f"Contents held more than once: {totals.contents}; superfluous copies: {totals.extra}; "
        f"wasted: {totals.waste} bytes"
    )
    if totals.unsized:
        yield f"The size of {totals.unsized} of them is not known (imported, unsigned): their bytes are not counted."
    for _sha256, lines in groupby(queries.iterate_paths(place, wish), key=lambda line: line.sha256):
        yield from _content(place, lines)
    if wish.max_contents is not None and totals.contents > wish.max_contents:
        yield f"Not shown: {totals.contents - wish.max_contents} more"


def _content(place: Place, lines: Iterator[DuplicatePath]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if not number:
            each = "of unknown size" if line.size is None else f"of {line.size} bytes each"
            yield f"{line.waste} bytes wasted by superfluous copies: {line.extra} {each}, SHA-256 {line.sha256}"
        on = "" if place.replica else f"{visible_text(f'{line.run.replica.server}:{line.run.replica.root}')}  "
        same = "" if line.name.hardlink is None else f"  [hard link of {visible_text(line.name.hardlink)}, no waste]"
        yield f"    {on}{visible_text(line.name.path)}{same}"
