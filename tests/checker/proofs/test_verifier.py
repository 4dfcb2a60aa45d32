"""Prove an untouched history, and say when the database cannot be used."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from checker.models import Proof
from checker.proofs.verifier import verify_run
from scanner.ingest import worker
from scanner.models import Run
from tests.scanner.factories import accept, file_row, link_row, make_key, make_replica
from tests.scanner.ingest.test_worker import FIRST

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_untouched_history_is_proven() -> None:
    """Every check of every run holds, failed ones included, and the proof says so."""
    replica = make_replica()
    signer = make_key(replica.server)
    accept(replica, signer, FIRST)
    accept(replica, signer, outcome="failed")
    accept(replica, signer, [file_row("a/one", b"1"), link_row("b", "x")])
    worker.ingest_replica(replica.pk)
    for run in Run.objects.filter(replica=replica):
        verification = verify_run(run)
        assert verification.ok, [check.text for check in verification.checks if not check.ok]
        assert Proof.objects.get(run=run).proven_at is not None


def test_a_database_that_cannot_be_used_is_exit_code_2() -> None:
    """The command says it in one line."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE scanner_replica RENAME TO hidden")
        try:
            with pytest.raises(CommandError, match="database cannot be used") as raised:
                call_command("verify_run", "--all")
        finally:
            cursor.execute("ALTER TABLE hidden RENAME TO scanner_replica")
    assert raised.value.returncode == 2 and "\n" not in str(raised.value)
