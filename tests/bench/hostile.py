"""Measure how long reports that are made to be slow hold a worker: ingest, comparison, verification, group comparison.

    python -m tests.bench.hostile [ENTRIES] [--shape SHAPE]

Three reports, each of which changes every entry, come one after the other in a fresh database in which autovacuum is
off: the statistics are as old as they can be. `modified` is the honest control; the other shapes once took time in
proportion to the square of their number.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.bench_database import bench_database

REPORTS = 3
MTIME_NS = 1_600_000_000_000_000_000
TABLES = ("scanner_version", "scanner_note", "scanner_run", "checker_change", "checker_branch", "checker_finding")
AUTOVACUUM_OFF = "ALTER TABLE {table} SET (autovacuum_enabled = off)"


def modified(number: int, report: int) -> Any:
    """Return a file with other content and a later time."""
    from tests.scanner import factories

    return factories.file_row(f"d{number % 300:03}/{number}", b"%d %d" % (report, number), mtime_ns=MTIME_NS + report)


def renamed_alike(number: int, report: int) -> Any:
    """Return a file of one name, size and time for all, in a directory that is new in each report."""
    from tests.scanner import factories

    return factories.file_row(f"r{report}n{number}/x", b"%09d" % (number * 10 + report), mtime_ns=MTIME_NS)


def unlistable(number: int, report: int) -> Any:
    """Return a directory that can be listed in one report and not in the next one."""
    from tests.scanner import factories

    if report % 2:
        return factories.error_row(f"d{number}", stage="list")
    return factories.file_row(f"d{number}", b"%d" % number)


SHAPES: dict[str, Callable[[int, int], Any]] = {
    "modified": modified,
    "renamed-alike": renamed_alike,
    "unlistable": unlistable,
}


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("entries", type=int, nargs="?", default=150_000, help="entries (default: %(default)s)")
    parser.add_argument("--shape", choices=SHAPES, action="append", help="what changes (default: every shape)")
    return parser.parse_args()


def main() -> None:
    """Start PostgreSQL, send the reports, print."""
    options = arguments()
    with bench_database():
        import django

        django.setup()
        measure(options.entries, options.shape or list(SHAPES))


def measure(entries: int, shapes: list[str]) -> None:
    """Send the reports of each shape for a replica of its own."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0, skip_checks=True, stdout=sys.stderr)
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(AUTOVACUUM_OFF.format(table=table))
    print(f"{entries} entries, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for shape in shapes:
        send_reports(shape, entries)


def send_reports(shape: str, entries: int) -> None:
    """Receive, ingest and judge the reports, and print the seconds of each step."""
    from checker.jobs import group_comparisons, run_comparisons
    from checker.proofs.verifier import verify_run
    from scanner.ingest import worker
    from scanner.models import Run
    from tests.scanner import factories

    group = factories.make_group()
    replica = factories.make_replica(group=group)
    signer = factories.make_key(replica.server)
    other = factories.make_replica(group=group)
    factories.accept(other, factories.make_key(other.server), [SHAPES[shape](0, 0)])
    worker.ingest_replica(other.pk)
    run_comparisons.catch_up(other.pk)
    verify_run(Run.objects.get(replica=other))

    for report in range(REPORTS):
        rows = sorted((SHAPES[shape](number, report) for number in range(entries)), key=lambda entry: entry.path)
        run = factories.accept(replica, signer, rows)
        steps: dict[str, Callable[[], object]] = {
            "ingest": lambda: worker.ingest_replica(replica.pk),
            "compare": lambda: run_comparisons.catch_up(replica.pk),
            "verify": lambda pk=run.pk: verify_run(Run.objects.get(pk=pk)),  # type: ignore[misc]  # bound now
            "group": lambda: group_comparisons.catch_up(group.pk),
        }
        words = []
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            words.append(f"{name} {time.perf_counter() - begun:.1f} s")
        print(f"{shape}, report {report + 1}: {', '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
