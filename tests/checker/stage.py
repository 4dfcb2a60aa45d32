"""Replicas for tests of pages: really signed reports; ingest and proof are written by hand, which is quick."""

from __future__ import annotations

import random
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from checker.models import Comparison, Finding, Proof
from scanner.format.entry_type import EntryType
from scanner.format.records import Entry
from scanner.format.timestamps import format_timestamp
from scanner.models import Progress, Replica, Run, Server, Version
from tests.scanner import factories
from tests.scanner.factories import Signer

CHECKS = ["statement", "chain", "journal", "signature", "records", "counts", "structure"]
"""The checks of a verification, in their order."""


def make_user(role: str = "viewer", **fields: Any) -> User:
    """Return a new user with a role."""
    user = User.objects.create_user(f"{role}-{uuid.uuid4().hex[:6]}", **fields)
    user.groups.add(Role.objects.get(name=role))
    return user


def make_run(replica: Replica, signer: Signer, files: int = 3, *, ago: timedelta = timedelta(), **fields: Any) -> Run:
    """Return the replica's next run, which ended and was received some time ago, and is not yet ingested.

    It has `files` files, and the entries of `rows`. All other fields are those of the statement.
    """
    entries = [factories.file_row(f"dir{number % 7}/file{number:05d}", b"x" * (number + 1)) for number in range(files)]
    entries += fields.pop("rows", [])

    end = time.time() - ago.total_seconds()
    statement = {
        "started_at": format_timestamp(end - 90),
        "finished_at": format_timestamp(end),
        "work_time_ns": 88_200_000_000,
    }
    run = factories.accept(replica, signer, entries, **(statement | fields))

    Run.objects.filter(pk=run.pk).update(received_at=F("finished_at") + timedelta(seconds=2))
    run.refresh_from_db()
    return run


def mark_ingested(run: Run, *, opened: int = 3, closed: int = 0) -> Run:
    """Make a run look as after ingest and comparison: so many versions were opened and closed. Return it."""
    earlier_runs = run.replica.runs.filter(state=Run.State.INGESTED, sequence__lt=run.sequence)
    base = earlier_runs.order_by("-sequence").first()

    run.state = Run.State.INGESTED
    run.ingested_at = run.received_at
    run.opened = opened
    run.closed = closed
    run.save()

    Comparison.objects.create(
        replica=run.replica,
        base=base,
        run=run,
        adjacent=True,
        state=Comparison.State.DONE,
        counts={"modified": opened} if opened and base else {},
        computed_at=run.received_at,
    )
    return run


def make_unreadable_finding(run: Run, path: str = "locked/a") -> Finding:
    """Return a new finding of a path that could not be read."""
    return Finding.objects.create(
        group=run.replica.group,
        replica=run.replica,
        kind=Finding.Kind.UNREADABLE,
        severity=Finding.Severity.WARNING,
        path=path,
        first_run=run,
        last_run=run,
        evidence={
            "new": {"type": EntryType.ERROR.value, "detail": "EACCES", "stage": "open"},
            "base": run.sequence - 1,
        },
    )


def store_entries(run: Run, entries: list[Entry]) -> None:
    """Write entries as versions that begin with the run."""
    Version.objects.bulk_create(
        [Version(replica=run.replica, from_seq=run.sequence, **entry._asdict()) for entry in entries]
    )


def make_proof(run: Run, *, ok: bool = True, checked_at: datetime | None = None) -> Proof:
    """Return the run's verification; when it is not `ok`, its records are not those that were signed."""
    moment = checked_at or timezone.now()
    statements = [
        {"check": check, "ok": ok or check != "records", "text": f"The {check} is looked at."} for check in CHECKS
    ]
    proof, _created = Proof.objects.update_or_create(
        run=run,
        defaults={
            "checked_at": moment,
            "ok": ok,
            "proven_at": moment if ok else None,
            "statements": statements,
            "duration_ns": 41_000_000,
        },
    )
    return proof


def make_history(replica: Replica, signer: Signer, runs: int, files: int = 40) -> Run:
    """Make a proven run a day until an hour ago, each a little larger than the one before. Return the newest."""
    # Seeded by the root, so that a page shows the same pictures each time.
    dice = random.Random(replica.root)

    newest = None
    for days_ago in reversed(range(runs)):
        files += dice.randrange(3)
        work_time_ns = dice.randrange(60, 90) * 10**9
        run = make_run(replica, signer, files, ago=timedelta(days=days_ago, hours=1), work_time_ns=work_time_ns)
        newest = mark_ingested(run, opened=dice.randrange(9))
        make_proof(newest, checked_at=newest.received_at + timedelta(seconds=9))

    assert newest is not None
    return newest


def make_server(name: str) -> tuple[Server, Signer]:
    """Return an enrolled server and what signs for it."""
    server = factories.make_server(name, last_seen_at=timezone.now())
    return server, factories.make_key(server)


def make_progress(replica: Replica, **fields: Any) -> Progress:
    """Return the progress of a run that is half done."""
    now = timezone.now()
    values = {
        "uuid": uuid.uuid4(),
        "started_at": now - timedelta(minutes=4),
        "updated_at": now,
        "phase": "hash",
        "files_done": 61_204,
        "files_total": 184_332,
        "bytes_done": 412 * 10**9,
        "bytes_total": 1_210 * 10**9,
        "current": "2019/Отпуск/IMG_2041\n.jpg",
    }
    return Progress.objects.create(replica=replica, **values | fields)


def make_overview() -> dict[str, Replica]:
    """Make groups with a replica in every status. Return them by a word for what each is."""
    alpha, alpha_signer = make_server("alpha.example.net")
    beta, beta_signer = make_server("beta.example.net")
    gamma, gamma_signer = make_server("gamma")

    photos = factories.make_group("Photos", note="Family archive, three copies")
    books = factories.make_group("Бухгалтерия 2019–2026", expected_interval=timedelta(hours=12))
    mail = factories.make_group("mail", excludes="*.tmp\n/cache/\nlost+found/")
    replicas = {
        "proven": factories.make_replica(alpha, photos, "/srv/photos"),
        "errors": factories.make_replica(beta, photos, "/data/photos"),
        "empty": factories.make_replica(gamma, photos, "/mnt/usb/photos"),
        "late": factories.make_replica(alpha, books, "/srv/Бухгалтерия"),
        "broken": factories.make_replica(beta, books, "/data/books"),
        "failed": factories.make_replica(gamma, mail, "/var/mail"),
        "waiting": factories.make_replica(alpha, mail, "/var/vmail"),
    }

    make_history(replicas["proven"], alpha_signer, 32)

    make_history(replicas["errors"], beta_signer, 5)
    errors = [factories.error_row("locked/a"), factories.error_row("locked/b", "EIO", "read")]
    run_with_errors = make_run(replicas["errors"], beta_signer, 44, ago=timedelta(minutes=20), rows=errors)
    mark_ingested(run_with_errors)
    make_proof(run_with_errors)
    make_unreadable_finding(run_with_errors)

    late_run = make_run(replicas["late"], alpha_signer, 12, ago=timedelta(days=3))
    make_proof(mark_ingested(late_run))

    broken_run = make_run(replicas["broken"], beta_signer, 12, ago=timedelta(hours=2))
    make_proof(mark_ingested(broken_run), ok=False)

    make_history(replicas["failed"], gamma_signer, 3)
    reason = "the root is on another file system than last time"
    make_run(replicas["failed"], gamma_signer, 0, outcome="failed", reason=reason)

    unproven_run = make_run(replicas["waiting"], alpha_signer, 9, ago=timedelta(minutes=1))
    mark_ingested(unproven_run)
    return replicas
