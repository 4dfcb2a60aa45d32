"""People and their roles in the admin: nobody lifts himself above what he was given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from scanner import roles
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


def permissions_of(group: Group) -> set[str]:
    """Return the names of a group's permissions."""
    return set(group.permissions.values_list("codename", flat=True))


def test_the_role_administrator_cannot_change_groups() -> None:
    """No form and no crafted request makes, changes or deletes a group; a superuser makes and changes others."""
    client = client_of(stage.make_user("administrator"))
    group = Group.objects.get(name="administrator")
    permissions = [str(key) for key in Permission.objects.values_list("pk", flat=True)]
    before = permissions_of(group)
    fields = {"name": "administrator", "permissions": permissions}

    assert client.get(reverse("admin:auth_group_changelist")).status_code == 403
    assert client.post(reverse("admin:auth_group_change", args=[group.pk]), fields).status_code == 403
    assert client.post(reverse("admin:auth_group_add"), fields | {"name": "all"}).status_code == 403
    assert client.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code == 403
    assert permissions_of(group) == before and Group.objects.count() == 3

    root = client_of(User.objects.create_superuser("root"))
    assert root.post(reverse("admin:auth_group_change", args=[group.pk]), fields).status_code == 403
    assert root.post(reverse("admin:auth_group_add"), fields | {"name": "all"}).status_code == 302
    assert Group.objects.get(name="all").permissions.count() == len(permissions)


def test_the_role_administrator_gives_only_roles() -> None:
    """Neither a permission nor a group beyond the roles can be sent, and who has them is out of reach."""
    person = stage.make_user("administrator")
    client = client_of(person)
    strong = Group.objects.create(name="strong")
    address = reverse("admin:auth_user_change", args=[person.pk])
    permission = Permission.objects.get(codename="delete_group", content_type__app_label="auth")

    client.post(address, form(person, groups=[strong.pk]))
    assert not person.groups.filter(pk=strong.pk).exists()
    client.post(address, form(person, is_superuser="on", user_permissions=[permission.pk], first_name="Ann"))
    person.refresh_from_db()
    assert (person.first_name, person.is_superuser, person.user_permissions.exists()) == ("Ann", False, False)

    stronger = User.objects.create_user("stronger")
    stronger.groups.add(strong)
    password = {"password1": "a new one 123", "password2": "a new one 123", "usable_password": "true"}
    assert client.post(reverse("admin:auth_user_change", args=[stronger.pk]), form(stronger)).status_code == 403
    assert client.post(reverse("admin:auth_user_password_change", args=[stronger.pk]), password).status_code == 403


def test_roles_are_set_right_after_each_migration() -> None:
    """A permission that was added to a role goes, and one that was taken away comes back."""
    group = Group.objects.get(name="administrator")
    before = permissions_of(group)
    group.permissions.set([Permission.objects.get(codename="change_group", content_type__app_label="auth")])
    roles.create_roles(sender=apps.get_app_config("auth"))

    assert permissions_of(group) == before
    assert {"add_user", "change_user"} <= before
    assert not group.permissions.filter(content_type__app_label="auth").exclude(content_type__model="user").exists()
