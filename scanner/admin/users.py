"""People in the admin: who is no superuser makes none, and does not touch one."""

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

_RESERVED = frozenset({"is_superuser", "user_permissions"})

admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(Base):
    """Roles are given by groups; what is beyond them only by superusers, who alone change or delete superusers."""

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Without what is reserved, unless a superuser asks."""
        fieldsets = super().get_fieldsets(request, obj)
        if _is_superuser(request):
            return fieldsets
        return [
            (title, {**options, "fields": tuple(name for name in options["fields"] if name not in _RESERVED)})
            for title, options in fieldsets
        ]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Also asked before a password is set."""
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Asked of each row that is chosen, too."""
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)


def _may_touch(request: HttpRequest, person: User | None) -> bool:
    return person is None or not person.is_superuser or _is_superuser(request)


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
