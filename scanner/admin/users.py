"""Administer people and groups: only superusers give more than a role, and nobody changes a role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import ManyToManyField
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest

from scanner.roles import ROLES

if TYPE_CHECKING:
    Base = UserAdmin[User]
else:
    Base = UserAdmin

# Permissions as well: with them a person could be given what no role gives.
_SUPERUSER_FIELDS = frozenset({"is_superuser", "user_permissions"})

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(Base):
    """People with roles, which are groups. Only superusers give more than a role."""

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Leave out the fields that only a superuser may set."""
        fieldsets = super().get_fieldsets(request, obj)
        if _is_superuser(request):
            return fieldsets

        # A field that is not in the form cannot be posted either.
        permitted = []
        for title, options in fieldsets:
            fields = tuple(name for name in options["fields"] if name not in _SUPERUSER_FIELDS)
            permitted.append((title, {**options, "fields": fields}))
        return permitted

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        """Offer only the roles to who is no superuser: another group may give more than they have themselves."""
        if db_field.name == "groups" and not _is_superuser(request):
            kwargs["queryset"] = Group.objects.filter(name__in=ROLES)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Protect superusers and people with more than roles. Also called before a password is set."""
        return super().has_change_permission(request, obj) and _may_change(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Protect superusers and people with more than roles. Also called for each row of a selection."""
        return super().has_delete_permission(request, obj) and _may_change(request, obj)


@admin.register(Group)
class RoleAdmin(GroupAdmin):
    """Groups of permissions. Superusers make and change them, except for the roles, which are fixed."""

    def has_view_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:  # noqa: ARG002  # Django asks about each group
        """Show groups only to superusers."""
        return _is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let only superusers make groups."""
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Let only superusers change groups, and nobody a role."""
        return _is_superuser(request) and not _is_role(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Let only superusers delete groups, and nobody a role. Also called for each row of a selection."""
        return _is_superuser(request) and not _is_role(obj)


def _is_role(group: Group | None) -> bool:
    return group is not None and group.name in ROLES


def _may_change(request: HttpRequest, person: User | None) -> bool:
    if person is None or _is_superuser(request):
        return True
    # Who sets a person's password has that person's rights.
    has_more_than_roles = person.user_permissions.exists() or person.groups.exclude(name__in=ROLES).exists()
    return not person.is_superuser and not has_more_than_roles


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
