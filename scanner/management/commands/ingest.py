"""`ingest`: takes in now what waits."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from scanner.ingest import journal, worker


class Command(BaseCommand):
    """A door for operators and tests; the task cluster does the same each minute."""

    help = "Takes in every report that waits, and says how many."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """One call, one line."""
        journal.journal_pending()
        self.stdout.write(f"{worker.ingest_waiting()} reports were dealt with")
