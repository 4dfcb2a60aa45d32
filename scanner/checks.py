"""System checks: what would make every upload fail is said at the start, not at the first upload."""

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
def check_folders(**_: Any) -> Iterable[CheckMessage]:
    """scanner.E001 for the storage of reports, scanner.E002 for the journal: each must be a folder of one's own."""
    for number, name, folder in (
        ("E001", "the storage of reports", Path(inbox.report_storage().location)),
        ("E002", "the journal", Path(settings.BACKUP_SYNCER_JOURNAL)),
    ):
        if not _can_write(folder):
            yield Error(f"{folder}, the folder of {name}, cannot be written.", id=f"scanner.{number}")


@register(Tags.security)
def check_central_key(**_: Any) -> Iterable[CheckMessage]:
    """scanner.E003 when others can read the central server's signing key, scanner.E004 when oneself cannot."""
    path = Path(settings.BACKUP_SYNCER_CENTRAL_KEY)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return  # it is made at the first call
    except OSError as error:
        yield Error(f"{path}, the central key, cannot be read: {error.strerror}.", id="scanner.E004")
        return
    if stat.S_IMODE(mode) & 0o077:
        yield Error(f"{path}, the central key, can be read by others: its mode must be 0600.", id="scanner.E003")
    elif not os.access(path, os.R_OK):
        yield Error(f"{path}, the central key, cannot be read.", id="scanner.E004")


def _can_write(folder: Path) -> bool:
    """Whether files can be made in `folder`, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
