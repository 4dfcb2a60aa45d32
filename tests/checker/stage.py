"""A small world for the pages, of really signed reports; only ingest and proof are written by hand."""

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
from scanner.format.records import Entry
from scanner.format.timestamps import format_timestamp
from scanner.models import Progress, Replica, Run, Server, Version
from tests.scanner import factories
from tests.scanner.factories import Signer

CHECKS = ["statement", "chain", "journal", "signature", "records", "counts", "structure"]


def make_user(role: str = "viewer", **fields: Any) -> User:
    """Somebody with a role."""
    user = User.objects.create_user(f"{role}-{uuid.uuid4().hex[:6]}", **fields)
    user.groups.add(Role.objects.get(name=role))
    return user


def run(replica: Replica, signer: Signer, files: int = 3, *, ago: timedelta = timedelta(), **fields: Any) -> Run:
    """The replica's next run, received `ago`."""
    end = time.time() - ago.total_seconds()
    more: list[Entry] = fields.pop("rows", [])
    rows = [factories.file_row(f"dir{at % 7}/file{at:05d}", b"x" * (at + 1)) for at in range(files)]
    fields = {
        "started_at": format_timestamp(end - 90),
        "finished_at": format_timestamp(end),
        "work_time_ns": 88_200_000_000,
    } | fields
    made = factories.accept(replica, signer, [*rows, *more], **fields)
    Run.objects.filter(pk=made.pk).update(received_at=F("finished_at") + timedelta(seconds=2))
    made.refresh_from_db()
    return made


def ingest(made: Run, *, opened: int = 3, closed: int = 0) -> Run:
    """The run as it stands after ingest."""
    made.state, made.ingested_at, made.opened, made.closed = Run.State.INGESTED, made.received_at, opened, closed
    made.save()
    before = (
        made.replica.runs.filter(state=Run.State.INGESTED, sequence__lt=made.sequence).order_by("-sequence").first()
    )
    Comparison.objects.create(
        replica=made.replica,
        base=before,
        run=made,
        adjacent=True,
        state=Comparison.State.DONE,
        counts={"modified": opened} if opened and before else {},
        computed_at=made.received_at,
    )
    return made


def unreadable(made: Run, path: str = "locked/a") -> Finding:
    """The finding that a path could not be read."""
    return Finding.objects.create(
        group=made.replica.group,
        replica=made.replica,
        kind=Finding.Kind.UNREADABLE,
        severity=Finding.Severity.WARNING,
        path=path,
        first_run=made,
        last_run=made,
        evidence={"new": {"type": 2, "detail": "EACCES", "stage": "open"}, "base": made.sequence - 1},
    )


def store(made: Run, rows: list[Entry]) -> None:
    """The run's entries as rows of history that begin with it."""
    begun = {"replica": made.replica, "from_seq": made.sequence}
    Version.objects.bulk_create([Version(**begun, **row._asdict()) for row in rows])


def prove(made: Run, *, ok: bool = True, at: datetime | None = None) -> Proof:
    """The run's verification."""
    moment = at or timezone.now()
    statements = [
        {"check": check, "ok": ok or check != "records", "text": f"The {check} is looked at."} for check in CHECKS
    ]
    proof, _new = Proof.objects.update_or_create(
        run=made,
        defaults={
            "checked_at": moment,
            "ok": ok,
            "proven_at": moment if ok else None,
            "statements": statements,
            "duration_ns": 41_000_000,
        },
    )
    return proof


def history(replica: Replica, signer: Signer, runs: int, files: int = 40) -> Run:
    """A run a day until an hour ago, all proven, growing a little; the newest comes back."""
    dice = random.Random(replica.root)  # the same pictures each time
    made = None
    for back in reversed(range(runs)):
        files += dice.randrange(3)
        late = timedelta(days=back, hours=1)
        made = ingest(
            run(replica, signer, files, ago=late, work_time_ns=dice.randrange(60, 90) * 10**9), opened=dice.randrange(9)
        )
        prove(made, at=made.received_at + timedelta(seconds=9))
    assert made is not None
    return made


def make_server(name: str) -> tuple[Server, Signer]:
    """An enrolled server."""
    server = factories.make_server(name, last_seen_at=timezone.now())
    return server, factories.make_key(server)


def make_progress(replica: Replica, **fields: Any) -> Progress:
    """A run that goes on, half done."""
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


def whole_world() -> dict[str, Replica]:
    """Groups and replicas in every state, by a word for each."""
    alpha, alpha_key = make_server("alpha.example.net")
    beta, beta_key = make_server("beta.example.net")
    gamma, gamma_key = make_server("gamma")
    photos = factories.make_group("Photos", note="Family archive, three copies")
    books = factories.make_group("Бухгалтерия 2019–2026", expected_interval=timedelta(hours=12))
    mail = factories.make_group("mail", excludes="*.tmp\n/cache/\nlost+found/")
    world = {
        "proven": factories.make_replica(alpha, photos, "/srv/photos"),
        "errors": factories.make_replica(beta, photos, "/data/photos"),
        "empty": factories.make_replica(gamma, photos, "/mnt/usb/photos"),
        "late": factories.make_replica(alpha, books, "/srv/Бухгалтерия"),
        "broken": factories.make_replica(beta, books, "/data/books"),
        "failed": factories.make_replica(gamma, mail, "/var/mail"),
        "waiting": factories.make_replica(alpha, mail, "/var/vmail"),
    }
    history(world["proven"], alpha_key, 32)
    history(world["errors"], beta_key, 5)
    errors = [factories.error_row("locked/a"), factories.error_row("locked/b", "EIO", "read")]
    failing = ingest(run(world["errors"], beta_key, 44, ago=timedelta(minutes=20), rows=errors))
    prove(failing)
    unreadable(failing)
    prove(ingest(run(world["late"], alpha_key, 12, ago=timedelta(days=3))))
    prove(ingest(run(world["broken"], beta_key, 12, ago=timedelta(hours=2))), ok=False)
    history(world["failed"], gamma_key, 3)
    run(world["failed"], gamma_key, 0, outcome="failed", reason="the root is on another file system than last time")
    ingest(run(world["waiting"], alpha_key, 9, ago=timedelta(minutes=1)))
    return world
