"""`compare_runs`: what changed between two runs of a replica."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from checker.changes import export, queries
from checker.changes.queries import ChangeFilter, ChangeRow
from checker.jobs import run_comparisons
from checker.models import Change, Comparison
from scanner.db.errors import database_error_text
from scanner.errors import StoreError
from scanner.formatting.entries import exact_file_time
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import local_time
from scanner.lookup import find_run


class Command(BaseCommand):
    """Exit code 0 when nothing changed, 1 when something did, 2 when the runs could not be compared."""

    help = "Says what changed between two complete runs of a replica."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which runs, which kinds, in which form."""
        for name in ("a", "b"):
            parser.add_argument(name, metavar=name.upper(), help="uuid of a run, or REPLICA-UUID:NUMBER")
        parser.add_argument(
            "--kind", action="append", default=[], choices=Change.Kind.values, help="only this kind; repeatable"
        )
        parser.add_argument("--again", action="store_true", help="make it although it was set aside")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="JSON Lines, both versions of each path")
        form.add_argument("--csv", action="store_true", help="a table for a spreadsheet")

    def handle(self, *_args: Any, **options: Any) -> None:
        """A head and a line for each path, or a file's text on stdout."""
        try:
            comparison = self._comparison(options["a"], options["b"], again=options["again"])
            wish = ChangeFilter(tuple(kind for kind in Change.Kind.values if kind in options["kind"]))
            if options["json"] or options["csv"]:
                for piece in export.export_bytes(comparison, wish, "csv" if options["csv"] else "jsonl"):
                    self.stdout.write(piece.decode(), ending="")
            else:
                for line in _words(comparison, wish):
                    self.stdout.write(line)
        except (LookupError, StoreError) as error:
            raise CommandError(str(error), returncode=2) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(database_error_text(error), returncode=2) from error
        if any(number for kind, number in comparison.counts.items() if not wish.kinds or kind in wish.kinds):
            sys.exit(1)

    def _comparison(self, first: str, second: str, *, again: bool) -> Comparison:
        runs = find_run(first), find_run(second)
        if again:
            run_comparisons.retry_set_aside(*runs)
        if runs[0].sequence > runs[1].sequence:
            self.stderr.write(f"Run {runs[1].sequence} is the earlier one: what changed since it is shown.")
        comparison = run_comparisons.get_or_request(*runs)
        if comparison.state == Comparison.State.WAITING:
            if sys.stderr.isatty():
                self.stderr.write("The runs lie far apart: they are being compared.")
            run_comparisons.compute(comparison.pk)
            comparison.refresh_from_db()
        if comparison.state != Comparison.State.DONE:
            reason = comparison.reason or "another process is at it: try again in a minute"
            raise LookupError(f"the runs could not be compared: {reason}")
        return comparison


def _words(comparison: Comparison, wish: ChangeFilter) -> Iterator[str]:
    """What a person reads."""
    base, run = comparison.base, comparison.run
    assert base is not None
    yield f"Run {base.sequence} ({local_time(base.finished_at)}) → run {run.sequence} ({local_time(run.finished_at)})"
    for one in run_comparisons.skipped_runs(comparison):
        yield f"Stepped over: run {one.sequence}, {one.get_state_display()}: {visible_text(one.reason)}"
    counts = [f"{comparison.counts[kind]} {kind}" for kind in Change.Kind.values if comparison.counts.get(kind)]
    yield ", ".join(counts) or "Nothing changed."
    for row in queries.iterate_changes(comparison, wish):
        yield f"{row.kind:12} {visible_text(row.path)}{_how(row)}"


def _how(row: ChangeRow) -> str:
    said = []
    if row.other is not None:
        said.append(f"from {visible_text(row.other)}")
    if row.old and row.new:
        if row.old.size is not None and row.new.size is not None and row.old.size != row.new.size:
            said.append(f"{row.old.size} → {row.new.size} bytes")
        if row.old.mtime_ns is not None and row.new.mtime_ns is not None and row.old.mtime_ns != row.new.mtime_ns:
            said.append(f"{exact_file_time(row.old.mtime_ns)} → {exact_file_time(row.new.mtime_ns)}")
    if row.new and row.new.type == 2:
        said.append(f"{row.new.detail} ({row.new.stage})")
    if row.notes:
        said.append(", ".join(sorted(row.notes)))
    return f"  [{'; '.join(said)}]" if said else ""
