"""`setup_site`: make tables, static files and an administrator."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backup_syncer.launcher.site_setup import ADMINISTRATOR, set_up


class Command(BaseCommand):
    """Prints one JSON object: `administrators` (how many), and of one that was just made `name` and `password`."""

    help = "Create what the system needs before it serves anybody. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--no-administrator`: where the output is kept, no password must be in it."""
        parser.add_argument("--no-administrator", action="store_true", help="do not create an administrator")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print one JSON object on one line."""
        site = set_up(administrator=not options["no_administrator"])
        name = None
        if site.password:
            name = ADMINISTRATOR
        self.stdout.write(json.dumps(site._asdict() | {"name": name}))
