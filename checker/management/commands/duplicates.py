"""List duplicates of a replica or of a group (`duplicates`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django.core.management.base import CommandParser

from checker.duplicates import export, places, queries
from checker.duplicates.places import Place
from checker.duplicates.queries import DuplicateFilter, DuplicatePath, Totals
from checker.management.base import QuestionCommand, add_format_options, chosen_format
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import local_time


class Command(QuestionCommand):
    """Exit code 0 when there are no duplicates, 1 when there are some, 2 when nobody could look for them."""

    help = "Show which contents a replica, or each replica of a group, has more than once, and the space they waste."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a replica or a group, how much to show, and the format."""
        parser.add_argument("place", metavar="REPLICA|GROUP", help="uuid of a replica; name or uuid of a group")
        parser.add_argument(
            "--least", type=int, default=0, metavar="BYTES", help="only contents that waste at least this much"
        )
        parser.add_argument("--limit", type=int, metavar="N", help="only the N contents that waste most")
        add_format_options(
            parser,
            json_help="JSON Lines, one content a line",
            csv_help="a table for a spreadsheet, one path a row",
        )

    def answer(self, options: dict[str, Any]) -> bool:
        """Write a head and a paragraph for each content, or the text of a file."""
        duplicate_filter = DuplicateFilter(min_waste=options["least"], max_contents=options["limit"])
        if duplicate_filter.min_waste < 0 or (
            duplicate_filter.max_contents is not None and duplicate_filter.max_contents < 1
        ):
            raise LookupError("--least takes no negative number, --limit a positive one")
        place = self._place(options["place"])
        totals = queries.read_page(place, duplicate_filter, limit=0).totals

        file_format = chosen_format(options)
        if file_format:
            self.write_file(export.export_bytes(place, duplicate_filter, file_format))
        else:
            self.write_lines(_text_lines(place, duplicate_filter, totals))
        return bool(totals.contents)

    def _place(self, name: str) -> Place:
        place = places.find_place(name)
        if not place.runs:
            raise LookupError(f"there is no complete run to look at: {visible_text(str(place.replica or place.group))}")
        for replica in place.replicas_without_run:
            self.stderr.write(f"Not included, since it has no complete run yet: {visible_text(str(replica))}")
        return place


def _text_lines(place: Place, duplicate_filter: DuplicateFilter, totals: Totals) -> Iterator[str]:
    """Yield the duplicates as a person reads them."""
    for run in place.runs:
        yield f"{visible_text(str(run.replica))}, run {run.sequence} ({local_time(run.finished_at)})"
    if not totals.contents:
        yield "No duplicates."
        return

    yield (f"Duplicated contents: {totals.contents}; extra copies: {totals.extra}; wasted: {totals.waste} bytes")
    if totals.unsized:
        yield f"The size of {totals.unsized} of them is unknown (unsigned import): their bytes are not counted."
    for _sha256, lines in groupby(queries.iterate_paths(place, duplicate_filter), key=lambda line: line.sha256):
        yield from _content_lines(place, list(lines))
    if duplicate_filter.max_contents is not None and totals.contents > duplicate_filter.max_contents:
        yield f"Not shown: {totals.contents - duplicate_filter.max_contents} more"


def _content_lines(place: Place, lines: list[DuplicatePath]) -> Iterator[str]:
    first = lines[0]
    size = "of unknown size" if first.size is None else f"of {first.size} bytes each"
    yield f"{first.waste} bytes wasted by extra copies: {first.extra} {size}, SHA-256 {first.sha256}"
    for line in lines:
        replica = ""
        if not place.replica:
            replica = visible_text(f"{line.run.replica.server}:{line.run.replica.root}") + "  "
        hard_link = ""
        if line.hardlink is not None:
            hard_link = f"  [hard link to {visible_text(line.hardlink)}, no extra space]"
        yield f"    {replica}{visible_text(line.path)}{hard_link}"
