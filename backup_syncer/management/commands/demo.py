"""`demo`: fill a fresh database with a made-up fleet."""

from __future__ import annotations

import logging
import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from backup_syncer.demo.fleet import DemoFleet
from scanner.models import Group, Run, Server

USER = "demo"


class Command(BaseCommand):
    """Make servers, groups and runs that look like a fortnight of a real fleet."""

    help = (
        "Fill a fresh database with 8 servers, 5 groups and some 60 signed runs: damage, moves, a late server, a mass "
        "change on hold. Refused if a server, a group or a run exists. Create a user who may see everything."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the name of the user that is made."""
        parser.add_argument("--user", default=USER, metavar="NAME", help="name of the user (default: %(default)s)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the tables if there are none, then the fleet and the user."""
        call_command("migrate", interactive=False, verbosity=0)
        if Server.objects.exists() or Group.objects.exists() or Run.objects.exists():
            raise CommandError("the database is not empty: a demo is made in a fresh one only", returncode=2)

        logging.getLogger("django-q").setLevel(logging.WARNING)  # a line for each wake-up says nothing here
        fleet = DemoFleet(self.stderr.write)
        run_count = fleet.make()
        self.stdout.write(
            f"Demo: {Server.objects.count()} servers, {Group.objects.count()} groups, {run_count} runs. "
            "Nothing in it is real."
        )
        self._make_user(options["user"])

    def _make_user(self, name: str) -> None:
        """Make a superuser; on a development system the password is the name."""
        users = get_user_model()
        if users.objects.filter(username=name).exists():
            self.stdout.write(f"User {name} exists; the password stays.")
            return

        password = secrets.token_urlsafe(15)
        if settings.DEBUG:
            password = name
        users.objects.create_superuser(username=name, email="", password=password)
        self.stdout.write(f"Login: {name}   Password: {password}   (shown this once)")
