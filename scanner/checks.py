"""Check at the start what would make every upload fail, as Django's system checks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from scanner.ingest import inbox


@register(Tags.files)
def check_directories(**_: Any) -> Iterable[CheckMessage]:
    """Yield scanner.E001 for the storage of reports and scanner.E002 for the journal when they cannot be written."""
    storage = Path(inbox.report_storage().location)
    if not _is_writable(storage):
        yield Error(f"{storage}, the directory of the storage of reports, cannot be written.", id="scanner.E001")

    journal = Path(settings.BACKUP_SYNCER_JOURNAL)
    if not _is_writable(journal):
        yield Error(f"{journal}, the directory of the journal, cannot be written.", id="scanner.E002")


@register(Tags.security)
def check_central_key(**_: Any) -> Iterable[CheckMessage]:
    """Yield scanner.E003 when others can read the central server's key, scanner.E004 when we cannot."""
    path = Path(settings.BACKUP_SYNCER_CENTRAL_KEY)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return  # it is created at the first call
    except OSError as error:
        yield Error(f"{path}, the central key, cannot be read: {error.strerror}.", id="scanner.E004")
        return

    if stat.S_IMODE(mode) & 0o077:
        yield Error(f"{path}, the central key, can be read by others: its mode must be 0600.", id="scanner.E003")
    elif not os.access(path, os.R_OK):
        yield Error(f"{path}, the central key, cannot be read.", id="scanner.E004")


def _is_writable(directory: Path) -> bool:
    """Return whether files can be created in `directory`, which need not exist yet."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)
