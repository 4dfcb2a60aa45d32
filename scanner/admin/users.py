"""Administer people: only a superuser makes, changes or deletes a superuser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest

if TYPE_CHECKING:
    Base = UserAdmin[User]
else:
    Base = UserAdmin

# Permissions as well: with them a person could be given what no role gives.
_SUPERUSER_FIELDS = frozenset({"is_superuser", "user_permissions"})

admin.site.unregister(User)


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

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Protect superusers. Also called before a password is set."""
        return super().has_change_permission(request, obj) and _may_change(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Protect superusers. Also called for each row of a selection."""
        return super().has_delete_permission(request, obj) and _may_change(request, obj)


def _may_change(request: HttpRequest, person: User | None) -> bool:
    return person is None or not person.is_superuser or _is_superuser(request)


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
