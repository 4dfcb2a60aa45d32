"""`compare_replicas`: what the replicas of a group differ in, and which copy is good."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from checker.divergences.listing import parse_moment
from checker.divergences.queries import DivergenceFilter
from checker.jobs import group_comparisons
from checker.lookup import find_group
from checker.models import Divergence, GroupComparison, Participant
from checker.pages import divergence_export
from scanner.db.errors import database_error_text
from scanner.errors import StoreError
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import local_time
from scanner.models import Group


class Command(BaseCommand):
    """Exit code 0 when nothing diverges, 1 when something does, 2 when the replicas could not be compared."""

    help = "Says what the replicas of a group differ in, by the newest proven run of each, and which copy is good."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which group, as of when, which kinds, in which form."""
        parser.add_argument("group", metavar="GROUP", help="name or uuid of the group")
        parser.add_argument("--at", metavar="TIME", help="as of this time (2026-11-01T03:00, with or without a zone)")
        parser.add_argument(
            "--kind", action="append", default=[], choices=Divergence.Kind.values, help="only this kind; repeatable"
        )
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="JSON Lines, each replica of each path")
        form.add_argument("--csv", action="store_true", help="a table for a spreadsheet")

    def handle(self, *_args: Any, **options: Any) -> None:
        """A head, a line for each replica and one for each path; or a file's text on stdout."""
        try:
            comparison = self._comparison(find_group(options["group"]), options["at"])
            wish = DivergenceFilter(tuple(kind for kind in Divergence.Kind.values if kind in options["kind"]))
            if options["json"] or options["csv"]:
                for piece in divergence_export.export_bytes(comparison, wish, "csv" if options["csv"] else "jsonl"):
                    self.stdout.write(piece.decode(), ending="")
            else:
                for line in _words(comparison, wish):
                    self.stdout.write(line)
        except (LookupError, StoreError) as error:
            raise CommandError(str(error), returncode=2) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(database_error_text(error), returncode=2) from error
        wanted = wish.kinds or Divergence.Kind.values
        if any(comparison.counts.get(kind) for kind in wanted):
            sys.exit(1)

    def _comparison(self, group: Group, at: str | None) -> GroupComparison:
        if at is None:
            group_comparisons.catch_up(group.pk)
            comparison = group_comparisons.newest_comparison(group)
        else:
            comparison = group_comparisons.get_or_request(group, _moment(at))
            if comparison.state == GroupComparison.State.WAITING:
                group_comparisons.compute(comparison.pk)
                comparison.refresh_from_db()
        if comparison is None:
            raise LookupError("the group has fewer than two replicas")
        if comparison.state != GroupComparison.State.DONE:
            reason = comparison.reason or "another process is at it: try again in a minute"
            raise LookupError(f"the replicas could not be compared: {reason}")
        if comparison.participants.filter(run__isnull=False).count() < 2:
            raise LookupError("fewer than two replicas have a proven run: there is nothing to compare")
        return comparison


def _moment(text: str) -> datetime:
    moment = parse_moment(text)
    if moment is None:
        raise LookupError(f"{text[:40]!r} is no time: give YYYY-MM-DDTHH:MM")
    return moment


def _words(comparison: GroupComparison, wish: DivergenceFilter) -> Iterator[str]:
    """What a person reads."""
    seats = list(comparison.participants.select_related("replica__server", "run"))
    for seat in seats:
        name = visible_text(f"{seat.replica.server.name}:{seat.replica.root}")
        when = f"run {seat.run.sequence}, {local_time(seat.run.finished_at)}" if seat.run else "no proven run"
        vote = "" if seat.standing == Participant.Standing.CURRENT else f" ({seat.standing}: no vote)"
        yield f"{seat.position}  {name}  {when}{vote}"
    counts = [f"{comparison.counts[kind]} {kind}" for kind in Divergence.Kind.values if comparison.counts.get(kind)]
    yield ", ".join(counts) or "All replicas hold the same."
    yield from divergence_export.text_lines(comparison, wish)
