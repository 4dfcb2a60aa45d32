"""The central server's own key."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner import central_key
from scanner.format.envelope import REPLY_TYPE, open_envelope
from scanner.format.errors import SigningError
from tests.scanner import factories as make

PROGRAM = "import django; django.setup(); from scanner import central_key; print(central_key.load_key().keyid)"


def test_many_first_calls_end_with_one_key(tmp_path: Path) -> None:
    """Processes that need the key at the same time, before there is one, all get the same; it is their user's alone."""
    key = tmp_path / "new" / "central.key"
    program = f"from django.conf import settings; settings.BACKUP_SYNCER_CENTRAL_KEY = {str(key)!r}; {PROGRAM}"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    starts = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(4)
    ]
    answers = {started.communicate(timeout=60)[0].strip().splitlines()[-1] for started in starts}

    assert len(answers) == 1
    assert [path.name for path in key.parent.iterdir()] == ["central.key"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, settings: Any) -> None:
    """The key's mode is looked at whenever it is loaded."""
    settings.BACKUP_SYNCER_CENTRAL_KEY = tmp_path / "central.key"
    central_key.load_key()
    (tmp_path / "central.key").chmod(0o644)
    central_key._load.cache_clear()

    with pytest.raises(SigningError, match="0600"):
        central_key.load_key()


@pytest.mark.django_db
def test_a_reply() -> None:
    """A reply says what it answers, to whom and when, first of all."""
    server = make.make_server()
    envelope = open_envelope(central_key.sign_reply("token", server, token="t"), REPLY_TYPE)
    members = json.loads(envelope.payload)

    assert list(members) == ["for", "server", "time", "token"]
    assert (members["for"], members["server"], members["token"]) == ("token", str(server.uuid), "t")
    assert envelope.verify(central_key.load_key().public)
