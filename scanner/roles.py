"""Define the three roles as Django groups, and keep them right: viewer, operator, administrator.

- A viewer views the pages.
- An operator also acts: enrolment tokens, releases, acknowledgements, revocations; the admin shows the rest, read-only.
- An administrator also changes groups, replicas, servers and people.

The roles are fixed: their permissions are set anew after each migration, and no page edits them.

`scanner.decorators` checks the permissions of pages.
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

VIEWER = "viewer"
OPERATOR = "operator"
ADMINISTRATOR = "administrator"
VIEW_PAGES = "scanner.view_run"
"""The permission that opens the pages."""
OPERATE = "scanner.operate"
"""The permission to act on what needs a person's decision."""
ROLES = (VIEWER, OPERATOR, ADMINISTRATOR)
_OWN_APPS = ("scanner", "checker")
_ADMINISTERED_APPS = (*_OWN_APPS, "auth", "admin")


@receiver(post_migrate, dispatch_uid="scanner.roles")
def create_roles(sender: AppConfig, using: str = "default", **_kwargs: Any) -> None:
    """Create the groups and give them exactly their permissions, whatever was added or taken away meanwhile."""
    if sender.label != "auth":
        return

    # Other applications may be migrated after auth: create their permissions now.
    for label in _ADMINISTERED_APPS:
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)

    server, _new = ContentType.objects.db_manager(using).get_or_create(app_label="scanner", model="server")
    Permission.objects.using(using).get_or_create(
        content_type=server, codename="operate", defaults={"name": "Can release, acknowledge, revoke and enrol"}
    )

    for role, permissions in _role_permissions(using).items():
        group, _new = Group.objects.using(using).get_or_create(name=role)
        group.permissions.set(permissions)


def _role_permissions(using: str) -> dict[str, QuerySet[Permission]]:
    permissions = Permission.objects.using(using)
    view_own = Q(content_type__app_label__in=_OWN_APPS, codename__startswith="view_")
    operate = Q(content_type__app_label="scanner", codename="operate")
    own = Q(content_type__app_label__in=(*_OWN_APPS, "admin"))
    # People, but neither groups nor permissions: with those, administrators could give themselves any right.
    people = Q(content_type__app_label="auth", content_type__model="user")
    return {
        VIEWER: permissions.filter(view_own),
        OPERATOR: permissions.filter(view_own | operate),
        ADMINISTRATOR: permissions.filter(own | people),
    }


@receiver(m2m_changed, sender=User.groups.through, dispatch_uid="scanner.roles.staff")
def update_staff_flag(instance: User | Group, action: str, pk_set: set[int] | None, **_kwargs: Any) -> None:
    """Let operators and administrators log in to the admin, where they act, and nobody else but superusers.

    `instance` and `pk_set` are a user and groups, or a group and users, whichever side was changed; `pk_set` is None
    when all are removed.
    """
    if action not in ("post_add", "pre_remove", "pre_clear"):
        return

    staff_roles = Group.objects.filter(name__in=[OPERATOR, ADMINISTRATOR])
    if isinstance(instance, User):
        users = User.objects.filter(pk=instance.pk)
        changed_roles = staff_roles
        if pk_set is not None:
            changed_roles = staff_roles.filter(pk__in=pk_set)
    else:
        users = instance.user_set.all()
        if pk_set is not None:
            users = User.objects.filter(pk__in=pk_set)
        changed_roles = staff_roles.filter(pk=instance.pk)
    if not changed_roles.exists():
        return

    is_staff = action == "post_add"
    if not is_staff:
        # Who keeps another of the two roles stays.
        remaining_roles = staff_roles.exclude(pk__in=changed_roles)
        users = users.filter(groups__in=changed_roles, is_superuser=False).exclude(groups__in=remaining_roles)

    # Fetched first, since the query joins the table that is being changed.
    user_ids = list(users.values_list("pk", flat=True))
    changed_users = User.objects.filter(pk__in=user_ids).update(is_staff=is_staff)
    if changed_users and isinstance(instance, User):
        instance.is_staff = is_staff
