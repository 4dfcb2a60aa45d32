"""Make what must exist before the system serves anybody: tables, static files, an administrator."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

ADMINISTRATOR = "admin"


class Site(NamedTuple):
    """Administrators after the set-up."""

    administrators: int
    password: str | None
    """Password of the administrator that was just made; None when none was made."""


def set_up(administrator: bool) -> Site:
    """Do what is missing; repeating it is harmless. With `administrator`, make one where there is no superuser."""
    call_command("migrate", interactive=False, verbosity=0)
    collect_static()

    password = None
    if administrator:
        password = make_administrator()
    administrators = get_user_model().objects.filter(is_superuser=True, is_active=True).count()
    return Site(administrators, password)


def collect_static() -> None:
    """Collect the static files unless these very files were collected before: compressing them takes seconds."""
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    digest = _digest_of_sources()
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return

    call_command("collectstatic", interactive=False, verbosity=0)
    # Written last: a collection that was broken off is made again.
    stamp.write_text(digest, encoding="ascii")


def _digest_of_sources() -> str:
    """Return a digest of name, size and time of each static file."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def make_administrator() -> str | None:
    """Make the first administrator. Return the password, which is stored nowhere; None when there is a superuser."""
    users = get_user_model()
    if users.objects.filter(is_superuser=True).exists():
        return None

    password = secrets.token_urlsafe(15)
    users.objects.create_superuser(username=ADMINISTRATOR, email="", password=password)
    return password
