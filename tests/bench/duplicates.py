"""Measure the search for duplicates: the first page of a replica and of a group of three, a search, a whole file.

    python -m tests.bench.duplicates [ENTRIES]

A tenth of the entries of each replica are copies, against an embedded PostgreSQL with the settings of a real one.
Beside it, in the same run, a peer: the same rows fetched by digest and counted in a dictionary of Python.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.bench.compare import execute
from tests.bench_database import bench_database

TRIES = 5
LIMIT_S, GROUP_LIMIT_S = 1.5, 4.0
"""For the first page of a replica of 1,000,000 entries, and of a group of three."""

# Of 30 entries 27 are the only ones of their content, and three are copies of one content; sizes are spread as in a
# tree of documents: many small ones, few large ones, most of the small ones shared by many files.
FILL = """
INSERT INTO scanner_version (size, mtime_ns, uid, gid, replica_id, from_seq, until_seq, mode, type, sha256, md5, path)
SELECT 1 + (10 ^ (2 + abs(hashint8(content)::bigint) %% 50000 / 10000.0))::bigint, 1600000000000000000, 0, 0,
    %(replica)s, 1, NULL, 33188, 1, sha256(convert_to('content ' || content, 'UTF8')),
    decode(md5('content ' || content), 'hex'),
    'share/dir' || lpad((n %% 4999)::text, 4, '0') || '/file' || lpad(n::text, 8, '0') || '.dat'
FROM (SELECT n, CASE WHEN n %% 10 = 0 THEN -(n / 30) ELSE n END AS content FROM generate_series(1, %(entries)s) AS n)
    AS entry ORDER BY 12
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
    """Run each query that a page or a command makes."""
    from django.core.management import call_command

    from checker.duplicates import export, places, queries
    from checker.duplicates.queries import DuplicateFilter
    from tests.bench.compare import _run
    from tests.scanner import factories

    call_command("migrate", verbosity=0, skip_checks=True, stdout=sys.stderr)
    group = factories.make_group()
    replicas = [factories.make_replica(group=group, root=f"/srv/{number}") for number in range(3)]
    for replica in replicas:
        execute(FILL, {"replica": replica.pk, "entries": entries})
        _run(replica, 1, entries)
    execute("VACUUM (ANALYZE) scanner_version", {})
    replica_place, group_place = places.find_replica(replicas[0].uuid), places.find_group(group.uuid)
    first = queries.read_page(replica_place)
    print(f"{entries} entries, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, {first.totals}")
    print_timing("first page of a replica", lambda: queries.read_page(replica_place), LIMIT_S)
    print_timing("second page", lambda: queries.read_page(replica_place, after=first.after))
    print_timing("first page of a search", lambda: queries.read_page(replica_place, DuplicateFilter("00999990")))
    print_timing("first page of a group of three", lambda: queries.read_page(group_place), GROUP_LIMIT_S)
    print_timing(
        "all of a replica as CSV", lambda: _size(export.export_bytes(replica_place, DuplicateFilter(), "csv")), tries=1
    )
    print_timing(
        "all of a group as JSON Lines",
        lambda: _size(export.export_bytes(group_place, DuplicateFilter(), "jsonl")),
        tries=1,
    )
    print_timing("peer: a dictionary of all digests", lambda: naive(replica_place), tries=1)


def print_timing(name: str, act: Callable[[], Any], limit: float | None = None, tries: int = TRIES) -> None:
    """The median time of `act`, and the memory that this process has had at most until then."""
    times = []
    for _ in range(tries):
        since = time.perf_counter()
        act()
        times.append(time.perf_counter() - since)
    least = f", best {min(times):.2f} s" if tries > 1 else ""
    allowed = f" (limit {limit} s)" if limit else ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"    {name:34} {statistics.median(times):6.2f} s{allowed}{least}, peak {peak} MiB", flush=True)


def naive(place: Any) -> int:
    """Return what the copies of a replica waste, found without the database's help."""
    from scanner.db.sql import fetch_batches

    held: dict[bytes, list[int]] = defaultdict(list)
    parameters = {"replica": place.runs[0].replica_id}
    for rows in fetch_batches("SELECT sha256, size FROM scanner_version WHERE replica_id = %(replica)s", parameters):
        for sha256, size in rows:
            held[sha256].append(size)
    return sum((len(sizes) - 1) * sizes[0] for sizes in held.values())


def _size(pieces: Any) -> int:
    return sum(map(len, pieces))


if __name__ == "__main__":
    main()
