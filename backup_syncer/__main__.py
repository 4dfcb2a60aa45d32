"""Run the command `backup-syncer`: start the whole system, or run one of Django's commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from backup_syncer.errors import NotStarted
from backup_syncer.state_directory import default_state
from backup_syncer.terminal import complain

HARMLESS = ("", "help", "--help", "-h", "version", "--version", "makemessages", "compilemessages")
"""Commands that use no state directory."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Return its exit code: 0 done and proven, 1 something is wrong, 2 not done."""
    if argv is None:
        argv = sys.argv[1:]
    try:
        return _dispatch(list(argv))
    except NotStarted as error:
        complain(str(error))
    except KeyboardInterrupt:
        complain("interrupted")
    except OSError as error:
        complain(f"{error.filename or 'system'}: {error.strerror or error}")
    return 2


def _dispatch(arguments: list[str]) -> int:
    command = ""
    if arguments:
        command = arguments[0]

    if command == "quickstart":
        from backup_syncer.quickstart.command import quickstart  # imports what Django's commands have no use for

        return quickstart(arguments[1:])
    if command == "serve":
        from backup_syncer.launcher.serve import serve

        return serve(arguments[1:])

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backup_syncer.settings")
    state = Path(os.environ.get("BACKUP_SYNCER_STATE") or default_state())
    if command not in HARMLESS:
        refuse_unmade(state)
    become_owner(state)

    from django.core.management import execute_from_command_line  # root's rights are gone by now

    execute_from_command_line(["backup-syncer", *arguments])
    return 0


def refuse_unmade(state: Path) -> None:
    """Raise NotStarted where the system has not been started yet.

    The first start makes the state directory with the rights that the services need; a command must not. An operator
    who sets SECRET_KEY looks after the state directory himself.
    """
    has_secret_key = any(os.environ.get(name, "").strip() for name in ("SECRET_KEY", "SECRET_KEY_FILE"))
    if state.is_absolute() and not has_secret_key and not os.path.lexists(state / "keys"):
        raise NotStarted(
            f"{state} is not set up yet: start it with `backup-syncer serve` or the quick start, or name the right "
            "state directory in BACKUP_SYNCER_STATE"
        )


def become_owner(state: Path) -> None:
    """Give up root's rights where root has started the system before, and go on as the service user.

    The system must be able to read what a command writes, and root must not trust what the system wrote.
    """
    if os.geteuid() != 0:
        return

    try:
        owner = os.stat(state / "keys")
    except FileNotFoundError:
        return
    if owner.st_uid:
        # In this order: once the user is changed, groups can no longer be.
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
        os.environ["HOME"] = str(state)


if __name__ == "__main__":
    sys.exit(main())
