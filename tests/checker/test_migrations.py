"""Upgrades of a database that is in use."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection

from checker.findings import actions
from checker.models import AuditEntry, Finding
from tests.checker import stage
from tests.checker.staged_replica import StagedReplica, file


def migrate(name: str) -> None:
    """Bring the tables of checker to one migration, forwards or backwards."""
    call_command("migrate", "checker", name, verbosity=0, stdout=StringIO())


@pytest.fixture
def newest_migration() -> Iterator[None]:
    """Leave the tables as the newest migration makes them: the tests that follow use the same database."""
    yield
    call_command("migrate", verbosity=0, stdout=StringIO())


@pytest.mark.django_db(transaction=True)
def test_models_and_migrations_agree() -> None:
    """No change of a model lacks its migration."""
    call_command("makemigrations", check=True, dry_run=True, verbosity=0, stdout=StringIO())


@pytest.mark.usefixtures("newest_migration")
@pytest.mark.django_db(transaction=True)
def test_the_audit_log_survives_its_new_name() -> None:
    """Rows, permissions and who has them are the same after the upgrade, and none is there twice."""
    world = StagedReplica()
    world.run([file("a"), file("keep")])
    world.run([file("a", b"new"), file("keep")])
    world.compare()
    user = stage.make_user("operator")
    actions.accept(Finding.objects.get(), user, "a mirror tool")
    entries = list(AuditEntry.objects.values())

    migrate("0007_absences")
    # What the program before this migration knew; the new one has made its own permissions again since.
    ContentType.objects.filter(app_label="checker", model="auditentry").delete()
    clerk = User.objects.create_user("clerk")
    clerk.user_permissions.add(Permission.objects.get(codename="view_act"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT what, name, reason FROM checker_act ORDER BY id")
        assert cursor.fetchall() == [("opened", "", ""), ("accepted", user.username, "a mirror tool")]

    migrate("0008_audit_entry")

    assert list(AuditEntry.objects.values()) == entries
    assert Finding.objects.values_list("accepted_by", flat=True).get() == user.pk
    assert User.objects.get(pk=clerk.pk).has_perm("checker.view_auditentry")
    assert Group.objects.get(name="viewer").permissions.filter(codename="view_auditentry").count() == 1
    assert not Permission.objects.filter(codename__endswith="_act").exists()
    assert Permission.objects.filter(codename__endswith="_auditentry").count() == 4
    assert not ContentType.objects.filter(app_label="checker", model="act").exists()
