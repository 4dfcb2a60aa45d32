"""Measure a comparison of a group's three replicas, until its divergences and findings are kept.

    python -m tests.bench.replicas [ENTRIES] [--statements]

Equal by their signed digests; equal, but without usable digests; a hundredth different; one replica empty: each against
an embedded PostgreSQL with the settings of a real one, the first time and once more with a newer run that changed
nothing. Beside it, in the same run, a peer: the three whole states joined by path, which finds what differs, and
neither judges nor keeps it. `--statements` prints the slowest statements of each comparison.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from tests.bench.compare import END, FILL, execute
from tests.bench_database import bench_database

LIMIT = 10.0
"""Seconds for three replicas of a million entries on two cores."""

# Of each hundred changed paths 65 are edited, 5 are written and keep their time, 10 are touched, 10 go, 10 come under
# another name, and five of those have moved.
BEGIN = """
INSERT INTO scanner_version (size, mtime_ns, uid, gid, replica_id, from_seq, until_seq, mode, type, sha256, md5, path)
SELECT size, CASE WHEN part < 5 THEN mtime_ns ELSE mtime_ns + 1 END, uid, gid, replica_id, %(run)s, NULL, mode, type,
    CASE WHEN part < 70 OR part >= 95 THEN sha256(sha256 || '\\x01') ELSE sha256 END, md5,
    CASE WHEN part >= 90 THEN replace(path, '/file', '/name') ELSE path END
FROM (SELECT *, id / %(every)s %% 100 AS part FROM scanner_version
    WHERE replica_id = %(replica)s AND until_seq = %(run)s) AS ended
WHERE part < 80 OR part >= 90
"""
STATE = """(SELECT path, type, sha256, detail FROM scanner_version WHERE replica_id = %(replica{0})s
    AND from_seq <= %(run{0})s AND (until_seq IS NULL OR until_seq > %(run{0})s)) AS s{0}"""
WHAT = "(s{0}.type, s{0}.sha256, s{0}.detail)"
JOINED = f"""
SELECT count(*) FROM {STATE.format(1)} FULL JOIN {STATE.format(2)} USING (path) FULL JOIN {STATE.format(3)} USING (path)
WHERE {WHAT.format(1)} IS DISTINCT FROM {WHAT.format(2)} OR {WHAT.format(2)} IS DISTINCT FROM {WHAT.format(3)}
"""


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "entries", type=int, nargs="?", default=1_000_000, help="of each replica (default: %(default)s)"
    )
    parser.add_argument("--statements", action="store_true", help="print the slowest statements of each comparison")
    return parser.parse_args()


def main() -> None:
    """Start PostgreSQL, fill it, measure, print."""
    options = arguments()
    with bench_database():
        import django

        django.setup()
        measure(options.entries, show_statements=options.statements)


def measure(entries: int, *, show_statements: bool) -> None:
    """All cases, from run to run of the same three replicas."""
    from django.core.management import call_command

    from tests.scanner import factories

    call_command("migrate", verbosity=0, skip_checks=True, stdout=sys.stderr)
    group = factories.make_group()
    replicas = [factories.make_replica(group=group) for _ in range(3)]
    print(f"3 x {entries} entries, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", flush=True)
    for replica in replicas:
        execute(FILL, {"replica": replica.pk, "entries": entries})
    execute("VACUUM (ANALYZE) scanner_version", {})
    bench = Bench(group, replicas, entries, show_statements)
    bench.case("equal, by their digests", bytes(64))
    bench.case("equal, without digests", None)
    bench.end_and_begin(replicas[2], 100)
    bench.case("1 % different", None)
    bench.end_all(replicas[1])
    bench.case("one replica empty", None)


class Bench:
    """Three replicas and what is measured of them."""

    def __init__(self, group: Any, replicas: list[Any], entries: int, show_statements: bool) -> None:
        self.group, self.replicas, self.entries, self.show_statements = group, replicas, entries, show_statements
        self.held = {replica.pk: entries for replica in replicas}
        self.sequence = 0
        """Of the newest run of each replica."""

    def end_and_begin(self, replica: Any, every: int) -> None:
        """Store the next run of a replica, in which one of `every` entries has changed."""
        parameters = {"replica": replica.pk, "run": self.sequence + 1, "every": every}
        execute(END, parameters)
        execute(BEGIN, parameters)
        execute("VACUUM (ANALYZE) scanner_version", {})

    def end_all(self, replica: Any) -> None:
        """The next run of a replica finds nothing."""
        execute(END, {"replica": replica.pk, "run": self.sequence + 1, "every": 1})
        self.held[replica.pk] = 0
        execute("VACUUM (ANALYZE) scanner_version", {})

    def case(self, name: str, content: bytes | None) -> None:
        """A run of each replica, and their comparison; a further run of one, and another comparison; the peer."""
        self.sequence += 1
        for replica in self.replicas:
            self._run(replica, content)
        first = self._compare(f"{name}:")
        self.sequence += 1
        for replica in self.replicas:
            self._run(replica, content)
        self._compare("    once more, unchanged:")
        self._read()
        if content is None:
            self._peer(first)

    def _compare(self, name: str) -> float:
        from checker.jobs import group_comparisons
        from checker.models import Finding

        with growth() as memory, statements() as spent:
            since = time.perf_counter()
            group_comparisons.catch_up(self.group.pk)
            seconds = time.perf_counter() - since
        made = group_comparisons.newest_comparison(self.group)
        assert made is not None and made.state == "done", made and made.reason
        findings = Finding.objects.filter(group=self.group, replica=None, state="open").count()
        limit = f"(limit {LIMIT * self.entries / 1e6:.1f} s)"
        peaks = f"processor {memory['here']:.2f} s here, {memory['there']:.2f} s PostgreSQL"
        peaks += f"   peak {memory['worker']:.0f} MiB here, {memory['server']:.0f} MiB PostgreSQL"
        print(f"{name:<26}{seconds:7.2f} s {limit}   {peaks}   {made.counts} {findings} findings", flush=True)
        if self.show_statements:
            for statement, seconds in spent.most_common(8):
                print(f"        {seconds:6.2f} s  {' '.join(statement.split())[:110]}", flush=True)
        return seconds

    def _read(self) -> None:
        """Pages of what is kept: the first by path and by kind, the last, one directory, one path, a search; and all
        of it as files."""
        from checker.divergences import queries
        from checker.divergences.queries import DivergenceFilter
        from checker.jobs import group_comparisons
        from checker.pages import divergence_export
        from scanner.db import keyset

        made = group_comparisons.newest_comparison(self.group)
        assert made is not None
        after = keyset.page_token("share/dir4998/")
        reads: dict[str, Callable[[], object]] = {
            "first page": lambda: queries.read_page(made.pk, DivergenceFilter()),
            "of a kind": lambda: queries.read_page(made.pk, DivergenceFilter(kinds=("lost",))),
            "near the end": lambda: queries.read_page(made.pk, DivergenceFilter(), after),
            "tree": lambda: queries.read_subdirectories(made.pk, DivergenceFilter(below="share/"), 3),
            "directory": lambda: queries.read_directory_page(made.pk, DivergenceFilter(below="share/dir0007/")),
            "a path": lambda: queries.read_divergence(made.pk, "share/dir0007/file00000007.dat"),
            "search": lambda: queries.read_page(made.pk, DivergenceFilter(search="00099999")),
            "all as CSV": lambda: sum(map(len, divergence_export.export_bytes(made, DivergenceFilter(), "csv"))),
            "all as JSON Lines": lambda: sum(
                map(len, divergence_export.export_bytes(made, DivergenceFilter(), "jsonl"))
            ),
        }
        times = {}
        for name, read in reads.items():
            since = time.perf_counter()
            read()
            times[name] = (time.perf_counter() - since) * 1000
        print("    reads: " + ", ".join(f"{name} {spent:.0f} ms" for name, spent in times.items()), flush=True)

    def _peer(self, seconds: float) -> None:
        parameters = {f"replica{position}": replica.pk for position, replica in enumerate(self.replicas, 1)}
        parameters |= {f"run{position}": self.sequence for position in range(1, 4)}
        execute("SET work_mem = '128MB'", {})
        since = time.perf_counter()
        ((number,),) = execute(JOINED, parameters)
        joined = time.perf_counter() - since
        execute("RESET work_mem", {})
        print(f"    states joined, alone: {joined:9.2f} s for {number} paths: {joined / seconds:.1f} times", flush=True)

    def _run(self, replica: Any, content: bytes | None) -> None:
        """The newest run of a replica, with what is known of it after ingest, comparison and proof."""
        from django.utils import timezone

        from checker.jobs import run_comparisons
        from checker.models import Comparison, Finding, Proof
        from scanner.models import Run

        now, number = timezone.now(), self.held[replica.pk]
        run = Run.objects.create(
            uuid=uuid.uuid4(), replica=replica, sequence=self.sequence, state="ingested", statement=bytes(64),
            started_at=now, finished_at=now, ingested_at=now, work_time_ns=1, files=number, bytes=1, errors=0,
            records_count=number, records_bytes=1, records_digest=bytes(64), content=content,
            opened=number, closed=0,
        )  # fmt: skip
        Proof.objects.create(run=run, checked_at=now, ok=True, proven_at=now)
        run_comparisons.catch_up(replica.pk)
        held = Finding.objects.filter(replica=replica, kind=Finding.Kind.MASS_CHANGE, state="open")
        held.update(state="accepted", closed_at=now)  # held, it would have no vote
        assert Comparison.objects.filter(run=run, adjacent=True, state="done").exists()


@contextmanager
def growth() -> Iterator[dict[str, float]]:
    """Afterwards: the peaks in MiB of this process's memory and of its PostgreSQL backend's own, and the processor time
    of both: where others work on the machine, that is what can be compared."""
    ((backend,),) = execute("SELECT pg_backend_pid()", {})
    process, over, peaks = psutil.Process(backend), threading.Event(), {"server": 0.0}
    before = {"here": sum(psutil.Process().cpu_times()[:2]), "there": sum(process.cpu_times()[:2])}

    def watch() -> None:
        while not over.wait(0.02):
            used = process.memory_info()
            peaks["server"] = max(peaks["server"], (used.rss - used.shared) >> 20)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()
        peaks["worker"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        peaks["here"] = sum(psutil.Process().cpu_times()[:2]) - before["here"]
        peaks["there"] = sum(process.cpu_times()[:2]) - before["there"]


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """Afterwards: the seconds that each statement took."""
    from django.db import connection

    spent: Counter[str] = Counter()

    def timed(execute: Any, sql: Any, params: Any, is_batch: bool, context: Any) -> Any:
        since = time.perf_counter()
        try:
            return execute(sql, params, is_batch, context)
        finally:
            spent[str(sql)] += time.perf_counter() - since  # type: ignore[assignment]  # seconds, of which some are parts

    with connection.execute_wrapper(timed):
        yield spent


if __name__ == "__main__":
    main()
