"""The migrations make the tables that the models describe."""

from __future__ import annotations

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    """`makemigrations --check` finds nothing to do in the project's own applications."""
    call_command("makemigrations", "backup_syncer", "scanner", "checker", check=True, dry_run=True, verbosity=1)
