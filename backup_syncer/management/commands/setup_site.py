"""`setup_site`: tables, static files, schedules, an administrator."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from backup_syncer.site import ADMINISTRATOR, set_up


class Command(BaseCommand):
    """Prints one JSON object: `administrator`, and `password` when that account was just made, else null."""

    help = "Makes what must be there before the system serves anybody; harmless to repeat."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """One call, one line."""
        self.stdout.write(json.dumps({"administrator": ADMINISTRATOR, "password": set_up()}))
