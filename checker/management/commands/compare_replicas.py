"""Compare the replicas of a group (`compare_replicas`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from checker.divergences.listing import parse_moment
from checker.divergences.queries import DivergenceFilter
from checker.jobs import group_comparisons
from checker.management.base import QuestionCommand, add_format_options, chosen_format
from checker.models import Divergence, GroupComparison, Participant
from checker.pages import divergence_export
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import local_time
from scanner.lookup import find_group
from scanner.models import Group


class Command(QuestionCommand):
    """Exit code 0 when the replicas are equal, 1 when they differ, 2 when they could not be compared."""

    help = "Show where the replicas of a group differ, by the newest proven run of each, and which copy is good."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a group, a moment, the kinds of divergence to show, and the format."""
        parser.add_argument("group", metavar="GROUP", help="name or uuid of the group")
        parser.add_argument("--at", metavar="TIME", help="as of this time (2026-11-01T03:00, with or without a zone)")
        parser.add_argument(
            "--kind",
            action="append",
            default=[],
            choices=Divergence.Kind.values,
            help="show only this kind; repeatable",
        )
        add_format_options(
            parser, json_help="JSON Lines with each replica of each path", csv_help="a table for a spreadsheet"
        )

    def answer(self, options: dict[str, Any]) -> bool:
        """Write a line for each replica and one for each path, or the text of a file."""
        comparison = _comparison(find_group(options["group"]), options["at"])
        chosen_kinds = tuple(kind for kind in Divergence.Kind.values if kind in options["kind"])
        divergence_filter = DivergenceFilter(chosen_kinds)

        file_format = chosen_format(options)
        if file_format:
            self.write_file(divergence_export.export_bytes(comparison, divergence_filter, file_format))
        else:
            self.write_lines(_text_lines(comparison, divergence_filter))
        return any(comparison.counts.get(kind) for kind in chosen_kinds or Divergence.Kind.values)


def _comparison(group: Group, moment_text: str | None) -> GroupComparison:
    """Return the newest comparison, or that of a moment. Raise LookupError when there is none."""
    comparison: GroupComparison | None
    if moment_text is None:
        group_comparisons.catch_up(group.pk)
        comparison = group_comparisons.newest_comparison(group)
    else:
        comparison = group_comparisons.get_or_request(group, _parse_moment(moment_text))
        if comparison.state == GroupComparison.State.WAITING:
            group_comparisons.compute(comparison.pk)
            comparison.refresh_from_db()

    if comparison is None:
        raise LookupError("the group has fewer than two replicas")
    if comparison.state != GroupComparison.State.DONE:
        reason = comparison.reason or "another process is comparing them: try again in a minute"
        raise LookupError(f"the replicas could not be compared: {reason}")
    if comparison.participants.filter(run__isnull=False).count() < 2:
        raise LookupError("fewer than two replicas have a proven run: there is nothing to compare")
    return comparison


def _parse_moment(text: str) -> datetime:
    moment = parse_moment(text)
    if moment is None:
        raise LookupError(f"{text[:40]!r} is no time: give YYYY-MM-DDTHH:MM")
    return moment


def _text_lines(comparison: GroupComparison, divergence_filter: DivergenceFilter) -> Iterator[str]:
    """Yield the comparison as a person reads it."""
    for participant in comparison.participants.select_related("replica__server", "run"):
        yield _participant_line(participant)
    kinds = Divergence.Kind.values
    counts = [f"{comparison.counts[kind]} {kind}" for kind in kinds if comparison.counts.get(kind)]
    yield ", ".join(counts) or "The replicas do not differ."
    yield from divergence_export.text_lines(comparison, divergence_filter)


def _participant_line(participant: Participant) -> str:
    name = visible_text(f"{participant.replica.server.name}:{participant.replica.root}")
    run = "no proven run"
    if participant.run:
        run = f"run {participant.run.sequence}, {local_time(participant.run.finished_at)}"
    vote = ""
    if participant.status != Participant.Status.CURRENT:
        vote = f" ({participant.status}: no vote)"
    return f"{participant.position}  {name}  {run}{vote}"
