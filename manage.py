#!/usr/bin/env python3
"""Run Django's commands from a checkout.

With BACKUP_SYNCER_STATE set they work on that installation, as the command `backup-syncer` does. Without it they work
on a development system of the checkout's own: DEBUG, an embedded PostgreSQL, and a state directory that may be deleted.
"""

from __future__ import annotations

import os
import sys

from backup_syncer import development
from backup_syncer.__main__ import main

if __name__ == "__main__":
    if os.environ.get("BACKUP_SYNCER_STATE") or os.environ.get("DJANGO_SETTINGS_MODULE"):
        sys.exit(main())
    sys.exit(development.main(sys.argv))
