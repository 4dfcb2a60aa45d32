"""Compare two runs of a replica (`compare_runs`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from checker.changes import export, queries
from checker.changes.queries import ChangeFilter, ChangeRow
from checker.jobs import run_comparisons
from checker.management.base import QuestionCommand, add_format_options, chosen_format
from checker.models import Change, Comparison
from scanner.format.entry_type import EntryType
from scanner.formatting.entries import exact_file_time
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import local_time
from scanner.lookup import find_run


class Command(QuestionCommand):
    """Exit code 0 when nothing changed, 1 when something did, 2 when the runs could not be compared."""

    help = "Show what changed between two complete runs of a replica."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take two runs, the kinds of change to show, and the format."""
        for name in ("a", "b"):
            parser.add_argument(name, metavar=name.upper(), help="uuid of a run, or REPLICA-UUID:NUMBER")
        parser.add_argument(
            "--kind", action="append", default=[], choices=Change.Kind.values, help="show only this kind; repeatable"
        )
        parser.add_argument("--again", action="store_true", help="compare again what was set aside")
        add_format_options(
            parser, json_help="JSON Lines with both versions of each path", csv_help="a table for a spreadsheet"
        )

    def answer(self, options: dict[str, Any]) -> bool:
        """Write a head and a line for each path, or the text of a file."""
        comparison = self._comparison(options["a"], options["b"], again=options["again"])
        chosen_kinds = tuple(kind for kind in Change.Kind.values if kind in options["kind"])
        change_filter = ChangeFilter(chosen_kinds)

        file_format = chosen_format(options)
        if file_format:
            self.write_file(export.export_bytes(comparison, change_filter, file_format))
        else:
            self.write_lines(_text_lines(comparison, change_filter))
        return any(comparison.counts.get(kind) for kind in chosen_kinds or Change.Kind.values)

    def _comparison(self, first_name: str, second_name: str, *, again: bool) -> Comparison:
        first = find_run(first_name)
        second = find_run(second_name)
        if again:
            run_comparisons.retry_set_aside(first, second)
        if first.sequence > second.sequence:
            self.stderr.write(f"Run {second.sequence} is the earlier one: the changes since it are shown.")

        comparison = run_comparisons.get_or_request(first, second)
        if comparison.state == Comparison.State.WAITING:
            if sys.stderr.isatty():
                self.stderr.write("The runs are far apart; they are being compared.")
            run_comparisons.compute(comparison.pk)
            comparison.refresh_from_db()
        if comparison.state != Comparison.State.DONE:
            reason = comparison.reason or "another process is comparing them: try again in a minute"
            raise LookupError(f"the runs could not be compared: {reason}")
        return comparison


def _text_lines(comparison: Comparison, change_filter: ChangeFilter) -> Iterator[str]:
    """Yield the comparison as a person reads it."""
    base = comparison.base
    run = comparison.run
    assert base is not None
    yield f"Run {base.sequence} ({local_time(base.finished_at)}) → run {run.sequence} ({local_time(run.finished_at)})"
    for skipped in run_comparisons.skipped_runs(comparison):
        yield f"Skipped: run {skipped.sequence}, {skipped.get_state_display()}: {visible_text(skipped.reason)}"

    counts = [f"{comparison.counts[kind]} {kind}" for kind in Change.Kind.values if comparison.counts.get(kind)]
    yield ", ".join(counts) or "Nothing changed."
    for change in queries.iterate_changes(comparison, change_filter):
        yield f"{change.kind:12} {visible_text(change.path)}{_details(change)}"


def _details(change: ChangeRow) -> str:
    """Return what differs, in brackets; empty where there is nothing to say."""
    details = []
    if change.other is not None:
        details.append(f"from {visible_text(change.other)}")
    old = change.old
    new = change.new
    if old and new:
        if None not in (old.size, new.size) and old.size != new.size:
            details.append(f"{old.size} → {new.size} bytes")
        if old.mtime_ns is not None and new.mtime_ns is not None and old.mtime_ns != new.mtime_ns:
            details.append(f"{exact_file_time(old.mtime_ns)} → {exact_file_time(new.mtime_ns)}")
    if new and new.type == EntryType.ERROR:
        details.append(f"{new.detail} ({new.stage})")
    if change.notes:
        details.append(", ".join(sorted(change.notes)))
    if not details:
        return ""
    return f"  [{'; '.join(details)}]"
