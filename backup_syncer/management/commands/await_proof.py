"""`await_proof`: wait until a run is proven."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandParser
from django.urls import reverse

from backup_syncer.quickstart.replica import await_proof


class Command(BaseCommand):
    """Prints one JSON object: `proven`, `said`, and, when a run came, its `run`, `page`, `files`, `bytes`, `errors`."""

    help = "Wait until a replica's next run is proven or has failed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the replica and how long to wait."""
        parser.add_argument("replica", type=UUID)
        parser.add_argument("--after", type=int, default=0, help="the run must be later than this one")
        parser.add_argument("--patience", type=float, default=1800, help="seconds without any change (default 1800)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print one JSON object on one line."""
        outcome = await_proof(options["replica"], options["after"], options["patience"])
        answer: dict[str, Any] = {"proven": outcome.proven, "said": outcome.message}
        if outcome.run is not None:
            run = outcome.run
            answer |= {"run": run.sequence, "page": reverse("run", args=[run.uuid])}
            answer |= {"files": run.files, "bytes": run.bytes, "errors": run.errors}
        self.stdout.write(json.dumps(answer))
