"""The project's settings with a state directory of this test process alone, which goes when the process ends."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile

UNDER_TEST = "pytest" in sys.modules
"""The type checker reads these settings, too; it needs no directory."""

STATE = tempfile.mkdtemp(prefix="bs-test-", dir="/tmp") if UNDER_TEST else "/nonexistent"
"""A short path: a Unix socket lies in it."""
_MAKER = os.getpid()


def _remove() -> None:
    """Forked children end through here too: only the maker clears up."""
    if os.getpid() == _MAKER:
        shutil.rmtree(STATE, ignore_errors=True)


os.environ["BACKUP_SYNCER_STATE"] = STATE
if UNDER_TEST:
    atexit.register(_remove)
    for _directory in ("keys", "static", "reports", "journal", "beat"):
        os.makedirs(os.path.join(STATE, _directory))
else:
    os.environ.setdefault("SECRET_KEY", "for types alone")

from backup_syncer.settings import *  # noqa: E402, F403  # the state directory must be named before they are read
from backup_syncer.settings import Q_CLUSTER, STORAGES  # noqa: E402

STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
Q_CLUSTER = Q_CLUSTER | {"workers": 1}
