"""Run `adopt_keys`: take keys that no trust record names into the trust records."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scanner import enrolment
from scanner.formatting.names import visible_text

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Exit code 0 when every key has a record, or has one now; 1 when keys wait for the operator's decision."""

    help = "List the keys of servers that no trust record names; with --key or --all, adopt them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--key", action="append", default=[], metavar="KEYID", help="adopt this key")
        parser.add_argument("--all", action="store_true", help="adopt every key that is listed")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write one line for each key, and adopt those that the operator named."""
        keys = enrolment.unrecorded_keys()
        unknown = set(options["key"]) - {key.keyid for key in keys}
        # Before the first record: a mistyped key is reported and nothing is adopted.
        if unknown:
            raise CommandError(f"no key without a record: {', '.join(sorted(unknown))}")

        waiting = 0
        for key in keys:
            text = f"key {key.keyid} of server {visible_text(key.server.name)}, since {key.created_at:%Y-%m-%d %H:%M}"
            if options["all"] or key.keyid in options["key"]:
                enrolment.adopt_key(key)
                logger.warning("adopted %s", text)
                self.stdout.write(f"adopted {text}")
            else:
                waiting += 1
                self.stdout.write(f"not recorded: {text}")
        if waiting:
            raise CommandError(
                f"{waiting} keys have no trust record: compare each with `backup-syncer-collector status` on its "
                "server, then adopt it with --key, or all with --all"
            )
