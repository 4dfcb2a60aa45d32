"""Verify runs (`verify_run`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from checker.management.base import NOT_ANSWERED, QuestionCommand
from checker.proofs import batch
from checker.proofs.verification import Outcome, Verification


class Command(QuestionCommand):
    """Exit code 0 only when all runs are proven, 1 when one is not, 2 when the runs could not be verified.

    A refused run, and one that is not ingested yet, count as not proven only where they are named.
    """

    help = "Verify runs: signature, chain, journal, and the records rebuilt from the database rows."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take runs by name, by replica, or all of them."""
        parser.add_argument("runs", nargs="*", metavar="RUN", help="uuid of a run, or REPLICA-UUID:NUMBER")
        parser.add_argument("--replica", action="append", default=[], metavar="UUID", help="all runs of this replica")
        parser.add_argument("--all", action="store_true", help="all runs of all replicas whose reports are signed")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def answer(self, options: dict[str, Any]) -> bool:
        """Write one line a check, or one JSON object a run."""
        if not (options["runs"] or options["replica"] or options["all"]):
            raise LookupError("name a RUN, or use --replica or --all")

        passing = {Outcome.PROVEN}
        if not options["runs"]:
            # Neither is a fault of what is stored: one refused report would make every later answer 1.
            passing |= {Outcome.REFUSED, Outcome.WAITING}

        all_proven = True
        try:
            for verdict in batch.verify_runs(options["runs"], options["replica"], options["all"]):
                all_proven = all_proven and verdict.outcome in passing
                self.write_lines(_json_lines(verdict) if options["json"] else _text_lines(verdict))
        except OSError as error:
            # The journal or a key could not be read.
            raise CommandError(str(error), returncode=NOT_ANSWERED) from error
        return not all_proven


def _text_lines(verdict: batch.Remark | Verification) -> Iterator[str]:
    if isinstance(verdict, batch.Remark):
        yield verdict.text
        return
    run = verdict.run
    yield f"Run {run.sequence} of {run.replica.uuid}: {verdict.outcome.upper()}"
    for check in verdict.checks:
        yield f"  {'ok' if check.ok else 'WRONG':5} {check.name}: {check.text}"


def _json_lines(verdict: batch.Remark | Verification) -> Iterator[str]:
    if isinstance(verdict, batch.Remark):
        yield json.dumps({"proven": verdict.ok, "outcome": verdict.outcome, "text": verdict.text}, ensure_ascii=False)
        return
    run = verdict.run
    members = {
        "run": str(run.uuid),
        "replica": str(run.replica.uuid),
        "sequence": run.sequence,
        "proven": verdict.ok,
        "outcome": verdict.outcome,
        "checks": [check.to_json() for check in verdict.checks],
        "seconds": round(verdict.duration_ns / 1e9, 3),
    }
    yield json.dumps(members, ensure_ascii=False)
