"""The health check."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings


@pytest.mark.django_db
def test_health_needs_no_login(client: Client, settings: Settings, tmp_path: Path) -> None:
    """It says whether database and tasks work, and fails while the task cluster has never beaten."""
    settings.BACKUP_SYNCER_BEAT = tmp_path
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"database": True, "tasks": False})
    (tmp_path / "beat").touch()
    assert client.get("/healthz").status_code == 200
