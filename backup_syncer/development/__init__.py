"""Run the project from a checkout while it is being changed.

`manage.py` comes here when no installation is named. What is made lies in one state directory per checkout; deleting
that directory is always safe. Nothing here is imported by an installed system.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from backup_syncer.development.system import WITHOUT_DATABASE, DevelopmentSystem
from backup_syncer.errors import NotStarted
from backup_syncer.terminal import complain

__all__ = ["main"]

SETTINGS = "backup_syncer.development.settings"


def main(argv: Sequence[str]) -> int:
    """Run a Django command on the development system. Return its exit code; 2 when the system cannot start."""
    system = DevelopmentSystem()
    command = "help"
    if len(argv) > 1:
        command = argv[1]

    os.environ["BACKUP_SYNCER_STATE"] = str(system.state)
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS

    try:
        system.make_directories()
        if command not in WITHOUT_DATABASE:
            system.start_database()
    except (NotStarted, OSError) as error:
        complain(str(error))
        return 2

    from django.core.management import execute_from_command_line  # settings read the environment set above

    try:
        execute_from_command_line(list(argv))
    finally:
        system.stop_database()
    return 0
