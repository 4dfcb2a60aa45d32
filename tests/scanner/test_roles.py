"""People and their roles in the admin: nobody lifts himself above what he was given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from tests.checker import stage

pytestmark = pytest.mark.django_db


def client_of(person: User) -> Client:
    """A client of this person."""
    client = Client()
    client.force_login(person)
    return client


def form(person: User, **fields: object) -> dict[str, object]:
    """Return the fields that the form of a person sends."""
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    groups = list(person.groups.values_list("pk", flat=True))
    return {"username": person.username, "is_active": "on", "is_staff": "on", "groups": groups, **joined, **fields}


def test_an_administrator_does_not_become_superuser() -> None:
    """Fields beyond the roles are not in the form, and are ignored when sent; a superuser has them."""
    person = stage.make_user("administrator")
    address = reverse("admin:auth_user_change", args=[person.pk])
    page = client_of(person).get(address).content.decode()

    assert "is_superuser" not in page and "user_permissions" not in page

    sent = client_of(person).post(address, form(person, is_superuser="on", first_name="Ann"))
    person.refresh_from_db()

    assert (sent.status_code, person.first_name, person.is_superuser, person.is_staff) == (302, "Ann", False, True)

    root = User.objects.create_superuser("root")
    assert "is_superuser" in client_of(root).get(address).content.decode()

    client_of(root).post(address, form(person, is_superuser="on"))
    person.refresh_from_db()

    assert person.is_superuser


def test_only_superusers_touch_superusers() -> None:
    """An administrator neither sets a superuser's password nor changes or deletes him."""
    root = User.objects.create_superuser("root")
    client = client_of(stage.make_user("administrator"))
    password = {"password1": "a new one 123", "password2": "a new one 123", "usable_password": "true"}

    assert client.post(reverse("admin:auth_user_password_change", args=[root.pk]), password).status_code == 403
    assert client.post(reverse("admin:auth_user_change", args=[root.pk]), form(root)).status_code == 403
    assert client.post(reverse("admin:auth_user_delete", args=[root.pk]), {"post": "yes"}).status_code == 403

    chosen = {"action": "delete_selected", "_selected_action": [str(root.pk)], "post": "yes"}
    assert client.post(reverse("admin:auth_user_changelist"), chosen).status_code == 403
    assert User.objects.filter(pk=root.pk).exists()


LEAVE: dict[str, Callable[[User, Group], None]] = {
    "remove": lambda person, role: person.groups.remove(role),
    "clear": lambda person, _: person.groups.clear(),
    "set": lambda person, _: person.groups.set([Group.objects.get(name="viewer")]),
    "users removed": lambda person, role: role.user_set.remove(person),
    "users cleared": lambda _, role: role.user_set.clear(),
}


@pytest.mark.parametrize("way", LEAVE)
def test_who_leaves_the_acting_roles_leaves_the_admin(way: str) -> None:
    """A person who loses the last acting role may not log in to the admin any more; superusers still may."""
    role = Group.objects.get(name="operator")
    person = stage.make_user("operator")
    root = User.objects.create_superuser("root")
    root.groups.add(role)
    person.groups.add(Group.objects.get(name="administrator"))
    person.groups.remove(Group.objects.get(name="administrator"))

    assert User.objects.get(pk=person.pk).is_staff

    for user in (person, root):
        LEAVE[way](user, role)
    assert not User.objects.get(pk=person.pk).is_staff
    assert User.objects.get(pk=root.pk).is_staff


def test_who_was_let_in_by_hand_stays() -> None:
    """Leaving a role that does not act takes nothing away."""
    person = stage.make_user("viewer", is_staff=True)
    person.groups.clear()
    assert User.objects.get(pk=person.pk).is_staff
