"""System checks of what every upload needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from scanner import central_key, checks


def ids() -> set[str | None]:
    return {message.id for message in run_checks() if (message.id or "").startswith("scanner.")}


def test_all_is_well() -> None:
    """There is no message when directories can be written and the key is private."""
    central_key.load_key()
    assert ids() == set()


def test_directories_that_cannot_be_written(settings: Any, tmp_path: Path) -> None:
    """A storage or a journal that is no directory, or below none, is an error with its id."""
    (tmp_path / "file").touch()
    reports = {"BACKEND": "scanner.ingest.storage.DurableStorage", "OPTIONS": {"location": str(tmp_path / "file")}}
    settings.STORAGES = settings.STORAGES | {"reports": reports}
    settings.BACKUP_SYNCER_JOURNAL = tmp_path / "file" / "journal"

    assert ids() == {"scanner.E001", "scanner.E002"}


def test_directories_that_do_not_exist_yet(settings: Any, tmp_path: Path) -> None:
    """A directory that can be made is as good as one that is there."""
    settings.BACKUP_SYNCER_JOURNAL = tmp_path / "a" / "b" / "journal"
    assert ids() == set()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_central_key_that_others_can_read(settings: Any, tmp_path: Path, mode: int) -> None:
    """The mode of the key file is looked at."""
    settings.BACKUP_SYNCER_CENTRAL_KEY = tmp_path / "central.key"
    assert list(checks.check_central_key()) == []

    central_key.load_key()
    assert ids() == set()

    (tmp_path / "central.key").chmod(mode)
    assert ids() == {"scanner.E003"}


def test_a_central_key_that_cannot_be_reached(settings: Any, tmp_path: Path) -> None:
    """A key file below a file is an error, not a crash of the check."""
    (tmp_path / "file").touch()
    settings.BACKUP_SYNCER_CENTRAL_KEY = tmp_path / "file" / "central.key"
    assert ids() == {"scanner.E004"}
