"""The three roles, as Django groups: viewer, operator, administrator. Made and kept right after each migration.

- A viewer sees the pages.
- An operator also acts: enrolment tokens, releases, acknowledgements, revocations;
  the admin shows the rest, read-only.
- An administrator may do all that the admin offers.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from django.db.models.signals import m2m_changed, post_migrate
from django.dispatch import receiver

VIEWER, OPERATOR, ADMINISTRATOR = "viewer", "operator", "administrator"
SEE = "scanner.view_run"
"""The permission that opens the pages."""
OPERATE = "scanner.operate"
"""The permission to act on what needs a person's decision."""
_OURS = ("scanner", "checker")


@receiver(post_migrate, dispatch_uid="scanner.roles")
def make_roles(sender: AppConfig, using: str = "default", **_kwargs: Any) -> None:
    """Make the groups and give them their permissions; nothing that a person added is taken away."""
    if sender.label != "auth":
        return
    for label in (*_OURS, "auth", "admin"):
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)
    server, _new = ContentType.objects.db_manager(using).get_or_create(app_label="scanner", model="server")
    Permission.objects.using(using).get_or_create(
        content_type=server, codename="operate", defaults={"name": "Can release, acknowledge, revoke and enrol"}
    )
    for role, permissions in _permissions(using).items():
        group, _new = Group.objects.using(using).get_or_create(name=role)
        group.permissions.add(*permissions)


def _permissions(using: str) -> dict[str, QuerySet[Permission]]:
    every = Permission.objects.using(using)
    seen = Q(content_type__app_label__in=_OURS, codename__startswith="view_")
    return {
        VIEWER: every.filter(seen),
        OPERATOR: every.filter(seen | Q(content_type__app_label="scanner", codename="operate")),
        ADMINISTRATOR: every.filter(content_type__app_label__in=(*_OURS, "auth", "admin")),
    }


@receiver(m2m_changed, sender=User.groups.through, dispatch_uid="scanner.roles.staff")
def let_into_admin(instance: User | Group, action: str, pk_set: set[int] | None, **_kwargs: Any) -> None:
    """Who becomes operator or administrator may log in to the admin: what they do is done there. Who no longer is
    either may not, superusers excepted."""
    if action not in ("post_add", "pre_remove", "pre_clear"):
        return
    acting = Group.objects.filter(name__in=[OPERATOR, ADMINISTRATOR])
    if isinstance(instance, User):
        users = User.objects.filter(pk=instance.pk)
        meant = acting if pk_set is None else acting.filter(pk__in=pk_set)
    else:
        users = instance.user_set.all() if pk_set is None else User.objects.filter(pk__in=pk_set)
        meant = acting.filter(pk=instance.pk)
    if not meant.exists():
        return
    enters = action == "post_add"
    if not enters:
        stay = acting.exclude(pk__in=meant)
        users = users.filter(groups__in=meant, is_superuser=False).exclude(groups__in=stay)
    changed = User.objects.filter(pk__in=list(users.values_list("pk", flat=True))).update(is_staff=enters)
    if changed and isinstance(instance, User):
        instance.is_staff = enters
