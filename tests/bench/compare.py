"""Measure a comparison of two runs: the rows that differ, with the plan, and all steps to the kept comparison.

    python -m tests.bench.compare [ENTRIES]

A hundredth of the entries changes, then all of them do, against an embedded PostgreSQL with the settings of a real one.
Beside it, in the same run, a peer: the two whole states joined, which is what a comparison without intervals must do.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from typing import Any

from tests.bench_database import bench_database

TRIES = 7
LIMIT_MS = 20.0
"""For the differing rows of 10,000 changes among 1,000,000 entries."""

FILL = """
INSERT INTO scanner_version (size, mtime_ns, uid, gid, replica_id, from_seq, until_seq, mode, type, sha256, md5, path)
SELECT 1000 + n %% 977, 1600000000000000000, 0, 0, %(replica)s, 1, NULL, 33188, 1,
    sha256(convert_to('content ' || n, 'UTF8')), decode(md5('content ' || n), 'hex'),
    'share/dir' || lpad((n %% 4999)::text, 4, '0') || '/file' || lpad(n::text, 8, '0') || '.dat'
FROM generate_series(1, %(entries)s) AS n ORDER BY 12
"""
# Of each hundred changed paths 70 are other content, 10 are touched, 10 go, 10 come, and five of those have moved.
END = """
UPDATE scanner_version SET until_seq = %(run)s WHERE replica_id = %(replica)s AND until_seq IS NULL
    AND id %% %(every)s = 0
"""
BEGIN = """
INSERT INTO scanner_version (size, mtime_ns, uid, gid, replica_id, from_seq, until_seq, mode, type, sha256, md5, path)
SELECT size, mtime_ns + 1, uid, gid, replica_id, %(run)s, NULL, mode, type,
    CASE WHEN part < 70 OR part >= 95 THEN sha256(sha256 || '\\x01') ELSE sha256 END, md5,
    CASE WHEN part >= 90 THEN path || '.new' ELSE path END
FROM (SELECT *, id / %(every)s %% 100 AS part FROM scanner_version
    WHERE replica_id = %(replica)s AND until_seq = %(run)s) AS ended
WHERE part < 80 OR part >= 90
"""
NAIVE = """
SELECT count(*) FROM (SELECT * FROM scanner_version WHERE replica_id = %(replica)s AND from_seq <= %(base)s
    AND (until_seq IS NULL OR until_seq > %(base)s)) AS was
FULL JOIN (SELECT * FROM scanner_version WHERE replica_id = %(replica)s AND from_seq <= %(run)s
    AND (until_seq IS NULL OR until_seq > %(run)s)) AS now USING (path)
WHERE was.id IS NULL OR now.id IS NULL OR (was.size, was.mtime_ns, was.mode, was.sha256)
    IS DISTINCT FROM (now.size, now.mtime_ns, now.mode, now.sha256)
"""


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("entries", type=int, nargs="?", default=1_000_000, help="entries (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Start PostgreSQL, fill it, measure, print."""
    options = arguments()
    with bench_database():
        import django

        django.setup()
        measure(options.entries)


def measure(entries: int) -> None:
    """All steps."""
    from django.core.management import call_command

    from tests.scanner import factories

    call_command("migrate", verbosity=0, skip_checks=True, stdout=sys.stderr)
    replica = factories.make_replica(group=factories.make_group(policy="immutable"))  # every change is a finding
    print(f"{entries} entries, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    execute(FILL, {"replica": replica.pk, "entries": entries})
    runs = [_run(replica, 1, entries)]
    for number, every in ((2, 100), (3, 1)):
        execute(END, {"replica": replica.pk, "run": number, "every": every})
        execute(BEGIN, {"replica": replica.pk, "run": number, "every": every})
        execute("VACUUM (ANALYZE) scanner_version", {})
        runs.append(_run(replica, number, entries))
        differing(runs[-2], runs[-1])
        whole(runs[-2], runs[-1])


def differing(base: Any, run: Any) -> None:
    """The rows that differ, in PostgreSQL, with the plan; beside them the naive join."""
    from checker.changes.statements import statement

    parameters = {"replica": run.replica_id, "base": base.sequence, "run": run.sequence}
    times: dict[str, list[float]] = {}
    plan: list[str] = []
    for _ in range(TRIES if run.sequence == 2 else 2):
        for name, query in (("differing", statement("find_differing")), ("naive", NAIVE)):
            if name == "naive" and len(times.get(name, [])) >= 3:
                continue
            lines = execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {query}", parameters)
            if name == "differing":
                plan = [line for (line,) in lines]
            execution_time = float(lines[-1][0].split()[2])
            times.setdefault(name, []).append(execution_time)
    medians = {name: statistics.median(milliseconds) for name, milliseconds in times.items()}
    print("\n".join(plan))
    limit = f" (limit {LIMIT_MS:.0f} ms)" if run.sequence == 2 else ""
    ratio = medians["naive"] / medians["differing"]
    print(
        f"run {run.sequence}: differing rows {medians['differing']:.1f} ms{limit}, "
        f"whole states joined {medians['naive']:.0f} ms: {ratio:.1f} times", flush=True
    )  # fmt: skip


def whole(base: Any, run: Any) -> None:
    """All steps to the kept comparison, findings among them."""
    from checker.jobs import run_comparisons
    from checker.models import Comparison, Finding

    since = time.perf_counter()
    run_comparisons.catch_up(run.replica_id)
    seconds = time.perf_counter() - since
    comparison = Comparison.objects.get(base=base, run=run)
    finding_count = Finding.objects.filter(first_run=run).count()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"run {run.sequence}: kept comparison {seconds:.2f} s, {comparison.state} {comparison.counts}, "
        f"{finding_count} findings, peak {peak} MiB", flush=True
    )  # fmt: skip
    pages(comparison)


def pages(comparison: Any) -> None:
    """The first page of the diff page, by filter."""
    from checker.changes import queries
    from checker.changes.queries import ChangeFilter

    asked = {
        "all": ChangeFilter(),
        "one kind": ChangeFilter(("moved",)),
        "three kinds": ChangeFilter(("moved", "removed", "touched")),
        "below": ChangeFilter((), "share/dir2000/"),
        "search": ChangeFilter((), "", "00999999"),
    }
    for name, query in asked.items():
        times = []
        for _ in range(5):
            since = time.perf_counter()
            queries.read_page(comparison, query)
            times.append((time.perf_counter() - since) * 1000)
        print(f"    first page, {name:12} {statistics.median(times):7.1f} ms", flush=True)
    since = time.perf_counter()
    queries.read_subdirectories(comparison, ChangeFilter((), "share/"))
    print(f"    first page, tree level   {(time.perf_counter() - since) * 1000:7.1f} ms", flush=True)


def execute(statement: str, parameters: dict[str, Any]) -> list[Any]:
    """Rows of a statement, none when it has none."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []


def _run(replica: Any, sequence: int, entries: int) -> Any:
    import uuid

    from django.utils import timezone

    from scanner.models import Run

    now = timezone.now()
    return Run.objects.create(
        uuid=uuid.uuid4(), replica=replica, sequence=sequence, state="ingested", statement=bytes(64), started_at=now,
        finished_at=now, ingested_at=now, work_time_ns=1, files=entries, bytes=1, errors=0, records_count=entries,
        records_bytes=1, records_digest=bytes([sequence]) * 64, opened=entries, closed=entries,
    )  # fmt: skip


if __name__ == "__main__":
    main()
