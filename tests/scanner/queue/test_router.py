"""django-q2's tables of schedules and results are closed: no page and no command loads their rows."""

from __future__ import annotations

import base64
import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_save
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success, Task

from scanner.errors import ClosedTable

pytestmark = pytest.mark.django_db(transaction=True)

CLOSED = (Task, Success, Failure, Schedule)


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        """Name the call that unpickling makes."""
        return os.mkdir, (str(self.path),)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """Make the tables of an earlier version, with a pickle in each column that holds one; return what it would make."""
    path = tmp_path / "touched"
    with connection.schema_editor() as editor:
        editor.create_model(Task)
        editor.create_model(Schedule)

    # As PickledObjectField stores it; its own encoder copies the value first, which would set the bomb off.
    pickled = base64.b64encode(pickle.dumps(Bomb(path))).decode()
    row: dict[str, Any] = {
        "id": "0" * 32,
        "name": "x",
        "func": "os.system",
        "hook": "os.remove",
        "args": pickled,
        "kwargs": pickled,
        "result": pickled,
        "started": timezone.now(),
        "stopped": timezone.now(),
        "attempt_count": 1,
    }
    with connection.cursor() as cursor:
        for success, key in ((True, "0"), (False, "1")):
            values = row | {"success": success, "id": key * 32}
            columns = ", ".join(f'"{column}"' for column in values)
            marks = ", ".join(f"%({column})s" for column in values)
            cursor.execute(f"INSERT INTO django_q_task ({columns}) VALUES ({marks})", values)
    yield path
    with connection.schema_editor() as editor:
        editor.delete_model(Task)
        editor.delete_model(Schedule)


def test_the_stored_pickle_is_live(target: Path) -> None:
    """The control: loading the row past the router unpickles it."""
    Task.objects.using("default").first()
    assert target.exists()


@pytest.mark.parametrize("model", CLOSED)
def test_no_query_reads_or_writes_a_closed_table(target: Path, model: Any) -> None:
    """Whoever asks gets an error, before anything is loaded."""
    with pytest.raises(ClosedTable):
        model.objects.first()
    with pytest.raises(ClosedTable):
        model.objects.filter(pk="0" * 32).exists()
    with pytest.raises(ClosedTable):
        model.objects.all().delete()
    with pytest.raises(ClosedTable):
        model().save()
    assert not target.exists()


def test_the_queue_itself_is_open() -> None:
    """The control: the one table that is used answers."""
    assert not OrmQ.objects.exists()


def admin_addresses() -> Iterator[str]:
    """Yield the addresses of every list and form of the admin, and those that django-q2 had."""
    yield reverse("admin:index")
    for model in admin.site._registry:
        names = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{names}_changelist")
        yield reverse(f"{names}_add")
    for name in ("task", "success", "failure", "schedule", "ormq"):
        for rest in ("", "add/", f"{'0' * 32}/change/", f"{'1' * 32}/change/", f"{'0' * 32}/delete/"):
            yield f"/admin/django_q/{name}/{rest}"
    yield "/admin/django_q/"


def test_no_page_of_the_admin_loads_a_result(target: Path) -> None:
    """A superuser opens every address; those of django-q2 do not exist."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    statuses = {address: client.get(address).status_code for address in admin_addresses()}

    assert not target.exists()
    assert statuses[reverse("admin:index")] == 200
    assert {status for address, status in statuses.items() if address.startswith("/admin/django_q/")} == {404}
    assert {status for address, status in statuses.items() if not address.startswith("/admin/django_q/")} <= {200, 403}


def test_dumpdata_leaves_closed_tables_out(target: Path) -> None:
    """A command that goes round the router's reading asks it for the tables."""
    output = io.StringIO()
    call_command("dumpdata", "--all", stdout=output)

    assert "django_q.task" not in output.getvalue() and "auth.group" in output.getvalue()
    assert not target.exists()


def test_a_new_database_has_no_closed_tables() -> None:
    """Migrations make the queue's table alone."""
    tables = connection.introspection.table_names()
    assert [table for table in tables if table.startswith("django_q")] == ["django_q_ormq"]


def test_nothing_of_the_queue_is_in_the_admin() -> None:
    """No model of django-q2 is registered, whichever a later version adds, and no hook waits for a saved result."""
    registered = {model._meta.app_label for model in admin.site._registry}
    assert "django_q" not in registered and {"scanner", "checker", "auth"} <= registered
    assert not post_save.has_listeners(apps.get_model("django_q", "Task"))


def test_nothing_else_is_unpickled_from_the_database() -> None:
    """Sessions are JSON, and the cache is in memory."""
    assert settings.SESSION_SERIALIZER.endswith("JSONSerializer")
    assert all(isinstance(cache, LocMemCache) for cache in caches.all(initialized_only=False))

    fields = [field for model in apps.get_models() for field in model._meta.get_fields()]
    pickled = {field.model._meta.label for field in fields if type(field).__name__ == "PickledObjectField"}
    assert pickled <= {model._meta.label for model in CLOSED}
