"""What must be there before the system serves anybody: tables, static files, the heartbeat, an administrator."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from backup_syncer.launcher import heartbeat

ADMINISTRATOR = "admin"


class Site(NamedTuple):
    """What the set-up found or made."""

    administrators: int
    password: str | None
    """Of the administrator that was just made."""


def set_up(administrator: bool) -> Site:
    """Do what is missing; doing it again is harmless. Where there is nobody who may do everything, `administrator`
    makes one."""
    call_command("migrate", interactive=False, verbosity=0)
    collect_static()
    heartbeat.schedule()
    password = make_administrator() if administrator else None
    return Site(get_user_model().objects.filter(is_superuser=True, is_active=True).count(), password)


def collect_static() -> None:
    """Collect the static files unless these very files were collected: to compress them takes seconds."""
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    digest = _sources()
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(digest, encoding="ascii")


def _sources() -> str:
    """A digest of name, size and time of each static file."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def make_administrator() -> str | None:
    """Make the first administrator, with a password that is nowhere but in the answer; None when there is one."""
    users = get_user_model()
    if users.objects.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(15)
    users.objects.create_superuser(username=ADMINISTRATOR, email="", password=password)
    return password
