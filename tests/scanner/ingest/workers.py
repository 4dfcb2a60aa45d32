"""Workers in processes of their own, on the test's database, that end by their own hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection


def killed_worker(script: str, *arguments: str) -> None:
    """Run a script that sets Django up, and in the end kills itself."""
    database = connection.settings_dict
    host = quote(database["HOST"], safe="") if database["HOST"].startswith("/") else database["HOST"]
    user = quote(database["USER"]) + (f":{quote(database['PASSWORD'])}" if database["PASSWORD"] else "")
    port = f":{database['PORT']}" if database["PORT"] else ""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "backup_syncer.settings",
        "DATABASE_URL": f"postgresql://{user}@{host}{port}/{database['NAME']}",
        "BACKUP_SYNCER_STATE": str(settings.BACKUP_SYNCER_STATE),
    }
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[3], capture_output=True, check=False)

    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
