"""`verify_run`: says whether runs are proven."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from checker.proofs import batch
from checker.proofs.verification import Verification
from scanner.db.errors import database_error_text
from scanner.errors import StoreError


class Command(BaseCommand):
    """Exit code 0 only when everything holds, 1 when something does not, 2 when the runs could not be looked at."""

    help = "Verifies runs: signature, chain, journal, and the records rebuilt from the rows."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which runs."""
        parser.add_argument("runs", nargs="*", metavar="RUN", help="uuid of a run, or REPLICA-UUID:NUMBER")
        parser.add_argument("--replica", action="append", default=[], metavar="UUID", help="all runs of this replica")
        parser.add_argument("--all", action="store_true", help="all runs of all replicas whose reports are signed")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *_args: Any, **options: Any) -> None:
        """One line a check, or one JSON object a run."""
        if not (options["runs"] or options["replica"] or options["all"]):
            raise CommandError("name a RUN, or use --replica or --all", returncode=2)
        try:
            verdicts = batch.verify_runs(options["runs"], options["replica"], options["all"])
            holds = True
            for verdict in verdicts:
                holds &= verdict.ok
                for line in _json(verdict) if options["json"] else _words(verdict):
                    self.stdout.write(line)
        except (LookupError, StoreError, OSError) as error:
            raise CommandError(str(error), returncode=2) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(database_error_text(error), returncode=2) from error
        if not holds:
            sys.exit(1)


def _words(verdict: batch.Remark | Verification) -> Iterator[str]:
    if isinstance(verdict, batch.Remark):
        yield verdict.text
        return
    run = verdict.run
    yield f"Run {run.sequence} of {run.replica.uuid}: {'PROVEN' if verdict.ok else 'NOT PROVEN'}"
    for check in verdict.checks:
        yield f"  {'ok' if check.ok else 'WRONG':5} {check.name}: {check.text}"


def _json(verdict: batch.Remark | Verification) -> Iterator[str]:
    if isinstance(verdict, batch.Remark):
        yield json.dumps({"proven": verdict.ok, "text": verdict.text}, ensure_ascii=False)
        return
    run = verdict.run
    yield json.dumps(
        {
            "run": str(run.uuid),
            "replica": str(run.replica.uuid),
            "sequence": run.sequence,
            "proven": verdict.ok,
            "checks": [check.to_json() for check in verdict.checks],
            "seconds": round(verdict.duration_ns / 1e9, 3),
        },
        ensure_ascii=False,
    )
