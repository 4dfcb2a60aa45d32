"""The command `backup-syncer`: starts the whole system, or runs one of Django's commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code comes back: 0 done and proven, 1 something is wrong, 2 not done."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backup_syncer.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["backup-syncer", *arguments])
    return 0


if __name__ == "__main__":
    sys.exit(main())
