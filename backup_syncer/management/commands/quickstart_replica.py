"""`quickstart_replica`: make the rows that the quick start needs for one directory."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backup_syncer.quickstart.replica import prepare
from scanner.validators import validate_root


class Command(BaseCommand):
    """Prints one JSON object: `server`, `replica`, `token` (null when the server is enrolled) and `sequence`."""

    help = "Find or create the group, server and replica for one directory of this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the directory, in its coded form."""
        parser.add_argument("root")
        parser.add_argument("--server", type=UUID, help="the server of an earlier quick start")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print one JSON object on one line."""
        try:
            validate_root(options["root"])
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        prepared = prepare(options["root"], options["server"])
        self.stdout.write(
            json.dumps(
                {
                    "server": str(prepared.replica.server.uuid),
                    "replica": str(prepared.replica.uuid),
                    "token": prepared.token,
                    "sequence": prepared.sequence,
                }
            )
        )
