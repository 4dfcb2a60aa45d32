"""Measure a million entries on the central server: ingest (first, unchanged, 1 % changed), verification, export, room.

    python -m tests.bench.history [ENTRIES]

Each step is a process of its own against an embedded PostgreSQL with the settings of a real one (fsync on), its figure
beside the limit, and beside what PostgreSQL and SHA3-512 alone need for the same rows and bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.bench_database import bench_database

LIMITS = {"first": 15.0, "unchanged": 5.0, "unchanged, read": 5.0, "1 % changed": 6.0, "verify": 6.0, "export": 6.0}
"""Seconds for a million entries on two cores."""
WORKER_MIB, BYTES_A_FILE = 300, 550


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("entries", type=int, nargs="?", default=1_000_000, help="entries (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Start PostgreSQL, walk through the steps, print."""
    options = arguments()
    with bench_database():
        measure(options.entries)


def measure(entries: int) -> None:
    """All steps; a step's own process prints one JSON object."""
    step("prepare")
    load = os.getloadavg()[0]
    print(f"{entries} entries, {os.cpu_count()} processors, load {load:.1f}: what others take makes seconds longer")
    for number, kind in enumerate(("first", "unchanged", "unchanged, read", "1 % changed"), 1):
        made = step("make", kind, str(entries))
        outcome = step("ingest")
        print_step(kind, outcome, entries)
        print(
            f"{'':18}{made['bytes'] / 1e6:8.1f} MB of records, {outcome['opened']} opened, {outcome['closed']} closed"
        )
        if number == 1:
            room = step("room")["bytes"] / entries
            print(f"{'room':<18}{room:8.0f} bytes a file with all indexes (limit {BYTES_A_FILE})")
            print_step("  COPY alone", step("copy"), entries)
    for kind in ("verify", "export"):
        print_step(kind, step(kind), entries)
    print_step("  SHA3-512 alone", step("digest"), entries)
    for form in ("sha256sum", "hashdeep", "bagit", "csv"):
        print_step(f"export_run {form}", step("form", form), entries)
    print_step("verify_report.py", step("standalone"), entries)


def print_step(kind: str, outcome: dict[str, Any], entries: int) -> None:
    """One line of the table."""
    limit = f"(limit {LIMITS[kind] * entries / 1e6:.1f} s, {WORKER_MIB} MiB)" if kind in LIMITS else ""
    cpu = f"processor {outcome['cpu']:5.2f} s here, {outcome['server_cpu']:5.2f} s PostgreSQL"
    print(f"{kind:<18}{outcome['seconds']:8.2f} s   {cpu}   peak {outcome['mib']:4d} MiB   {limit}", flush=True)


def step(*arguments: str) -> dict[str, Any]:
    """Run a step in a process of its own. Return its figures and PostgreSQL's processor time meanwhile."""
    before = server_cpu()
    outcome = subprocess.run(
        [sys.executable, "-m", "tests.bench.history", "--step", *arguments], stdout=subprocess.PIPE, check=True
    )
    answer: dict[str, Any] = json.loads(outcome.stdout)
    answer["server_cpu"] = server_cpu() - before
    return answer


def server_cpu() -> float:
    """Seconds of processor time that PostgreSQL has had so far, ended processes among them."""
    time.sleep(1)  # an ended process counts when its parent has heard of it
    data = Path(os.environ["BACKUP_SYNCER_STATE"], "pgdata")
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text(encoding="ascii").split()[0]))
    total = sum(postmaster.cpu_times())
    for child in postmaster.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(child.cpu_times()[:2])
    return total


def act(name: str, *arguments: str) -> None:
    """In a step's process: do it and print the figures."""
    import django

    django.setup()
    since, cpu = time.perf_counter(), time.process_time()
    result = STEPS[name](*arguments)
    seconds, cpu = time.perf_counter() - since, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mib": peak} | result))


def prepare() -> dict[str, Any]:
    """Tables, a server with a key, a replica."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True, stdout=sys.stderr)
    from tests.scanner import factories

    replica = factories.make_replica()
    signer = factories.make_key(replica.server)
    Path(os.environ["BACKUP_SYNCER_STATE"], "bench.key").write_bytes(signer.private.private_bytes_raw())
    return {}


def records(kind: str, entries: int) -> Iterator[Any]:
    """Entries like those of a tree of photographs; a hundredth of them has another content when `kind` says so."""
    from scanner.format.records import Note
    from tests.scanner.factories import file_row

    for number in range(entries):
        other = number % 100 == 0 and kind == "1 % changed"
        path = (
            f"photos/{2000 + number // 50_000}/{number // 2000 % 25:02d}-album/{number // 50:06d}/IMG_{number:07d}.jpeg"
        )
        content = b"%d %d" % (number, other)
        yield file_row(path, content, size=number * 2654435761 % (1 << 24) + 1, mtime_ns=1_573 * 10**15 + number)
    if kind == "unchanged, read":
        yield Note("photos/2000", "vanished")


def make(kind: str, entries: str) -> dict[str, Any]:
    """A signed report, received as an upload is."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from scanner.models import Replica
    from tests.scanner import factories

    replica = Replica.objects.get()
    private = Ed25519PrivateKey.from_private_bytes(Path(os.environ["BACKUP_SYNCER_STATE"], "bench.key").read_bytes())
    signer = factories.Signer(private, private.public_key().public_bytes_raw())
    report = factories.make_report(replica, signer, records(kind, int(entries)))
    factories.receive(replica.server, report.data)
    return {"bytes": len(report.body)}


def ingest() -> dict[str, Any]:
    """Take in what waits."""
    from scanner.ingest import worker
    from scanner.models import Run

    assert worker.ingest_waiting() == 1
    run = Run.objects.order_by("-sequence")[0]
    assert run.state == Run.State.INGESTED, run.reason
    return {"opened": run.opened, "closed": run.closed}


def verify() -> dict[str, Any]:
    """Verify the newest run."""
    from checker.proofs.verifier import verify_run
    from scanner.models import Run

    verdict = verify_run(Run.objects.order_by("-sequence")[0])
    assert verdict.ok, verdict.checks
    return {}


def export() -> dict[str, Any]:
    """Export the newest run."""
    from scanner.export import report as export
    from scanner.models import Run

    return {"bytes": sum(map(len, export.export_report(Run.objects.order_by("-sequence")[0])))}


def form(name: str) -> dict[str, Any]:
    """Export the newest run in the form of another tool."""
    from scanner.export import formats
    from scanner.export.omissions import Omissions
    from scanner.models import Run

    return {"bytes": sum(map(len, formats.export_run(Run.objects.order_by("-sequence")[0], name, Omissions())))}


def standalone() -> dict[str, Any]:
    """The standalone verifier on the report of the newest run, with its key; the export is not in its time."""
    from scanner.export import report as export
    from scanner.models import Run, ServerKey

    path = Path(os.environ["BACKUP_SYNCER_STATE"], "report.jsonl")
    with path.open("wb") as file:
        file.writelines(export.export_report(Run.objects.order_by("-sequence")[0]))
    command = [sys.executable, "-I", "deploy/verify_report.py", "--key", bytes(ServerKey.objects.get().public).hex()]
    since = time.perf_counter()
    subprocess.run([*command, str(path)], stdout=subprocess.DEVNULL, check=True)
    seconds, used = time.perf_counter() - since, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss // 1024}


def digest() -> dict[str, Any]:
    """SHA3-512 of as many bytes as the newest run's records have."""
    from scanner.models import Run

    left, sha3 = Run.objects.order_by("-sequence")[0].records_bytes, hashlib.sha3_512()
    while left > 0:
        sha3.update(bytes(min(left, 1 << 20)))
        left -= 1 << 20
    return {}


def room() -> dict[str, Any]:
    """Bytes of the history's table with all its indexes."""
    return {"bytes": _sql("SELECT pg_total_relation_size('scanner_version')")}


def copy() -> dict[str, Any]:
    """PostgreSQL alone: the same rows, packed beforehand, into a table with the same indexes."""
    _sql("CREATE TABLE bench (LIKE scanner_version INCLUDING ALL); SELECT 0")
    from django.db import connection

    columns = "replica_id, from_seq, size, mtime_ns, uid, gid, mode, type, sha256, md5, path, detail, stage"
    with tempfile.TemporaryFile() as file, connection.cursor() as cursor:
        with cursor.cursor.copy(f"COPY (SELECT {columns} FROM scanner_version ORDER BY path) TO STDOUT BINARY") as out:
            file.writelines(out)
        file.seek(0)
        since = time.perf_counter()
        with cursor.cursor.copy(f"COPY bench ({columns}) FROM STDIN BINARY") as into:
            while piece := file.read(1 << 18):
                into.write(piece)
        seconds = time.perf_counter() - since
    _sql("DROP TABLE bench; SELECT 0")
    return {"seconds": seconds}


def _sql(statement: str) -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        *first, last = statement.split(";")
        for text in first:
            cursor.execute(text)
        cursor.execute(last)
        return cursor.fetchone()[0]


STEPS: dict[str, Any] = {
    step.__name__: step for step in (prepare, make, ingest, verify, export, form, standalone, digest, room, copy)
}  # fmt: skip

if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        act(*sys.argv[2:])
    else:
        main()
