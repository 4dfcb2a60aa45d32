"""Upgrades of a database that is in use."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

SQUASHED = (("scanner", "0001_tables"), ("scanner", "0002_sql"), ("checker", "0001_tables"), ("checker", "0002_sql"))


@pytest.fixture
def recorder() -> Iterator[MigrationRecorder]:
    """Yield the record of applied migrations. It is restored, since other tests use the same database."""
    recorder = MigrationRecorder(connection)
    applied = set(recorder.applied_migrations())
    yield recorder
    for app, name in set(recorder.applied_migrations()) - applied:
        recorder.record_unapplied(app, name)
    for app, name in applied - set(recorder.applied_migrations()):
        recorder.record_applied(app, name)


@pytest.mark.django_db(transaction=True)
def test_models_and_migrations_agree() -> None:
    """No change of a model lacks its migration."""
    call_command("makemigrations", check=True, dry_run=True, verbosity=0, stdout=StringIO())


@pytest.mark.django_db(transaction=True)
def test_a_database_of_the_replaced_migrations_is_taken_over(recorder: MigrationRecorder) -> None:
    """Count a migration as applied, and make no table again, where all that it replaces were applied."""
    for app, name in SQUASHED:
        recorder.record_unapplied(app, name)
        migration = importlib.import_module(f"{app}.migrations.{name}").Migration
        for replaced_app, replaced_name in migration.replaces:
            recorder.record_applied(replaced_app, replaced_name)

    call_command("migrate", verbosity=0, stdout=StringIO())

    assert set(SQUASHED) <= set(recorder.applied_migrations())
