#!/usr/bin/env python3
"""Django's commands, from a checkout; the same as `backup-syncer` where the project is installed."""

from __future__ import annotations

import sys

from backup_syncer.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
