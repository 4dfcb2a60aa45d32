"""Run a Django command on the development system: `python -m backup_syncer.development COMMAND`."""

from __future__ import annotations

import sys

from backup_syncer import development

if __name__ == "__main__":
    sys.exit(development.main(sys.argv))
