"""Run `ingest`: ingest now what is queued."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from scanner.ingest import journal, worker


class Command(BaseCommand):
    """For operators and tests; the task cluster does the same each minute."""

    help = "Ingest every queued report and print how many there were."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Ingest and write one line."""
        journal.journal_pending()
        self.stdout.write(f"{worker.ingest_waiting()} reports were ingested or set aside")
