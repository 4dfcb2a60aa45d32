"""Measure the first page over a large fleet: time on the server, queries, bytes.

    python -m tests.bench.fleet [GROUPS] [SERVERS] [RUNS] [--slow]

Against an embedded PostgreSQL with the settings of a real one, by the real views and templates, without a network.
Beside it, in the same run, the page of one server with its charts, and what PostgreSQL alone takes of each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from typing import Any

from tests.bench_database import bench_database

TRIES = 7
LIMIT_MS, LIMIT_BYTES = 1000.0, 1_500_000
"""For the first page of 100 groups on 20 servers each."""


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("groups", type=int, nargs="?", default=100, help="groups (default: %(default)s)")
    parser.add_argument("servers", type=int, nargs="?", default=20, help="servers (default: %(default)s)")
    parser.add_argument("runs", type=int, nargs="?", default=60, help="runs of each replica (default: %(default)s)")
    parser.add_argument("--slow", action="store_true", help="print the slowest queries of each page")
    return parser.parse_args()


def main() -> None:
    """Start PostgreSQL, fill it, measure, print."""
    options = arguments()
    with bench_database():
        import django

        django.setup()
        measure(options.groups, options.servers, options.runs, slow=options.slow)


def measure(groups: int, servers: int, runs: int, *, slow: bool) -> None:
    """Both pages."""
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from tests.checker import stage, status_grid_stage

    settings.ALLOWED_HOSTS = ["testserver"]
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    call_command("migrate", verbosity=0, skip_checks=True, stdout=sys.stderr)
    made = status_grid_stage.fill(groups, servers, runs)
    client = Client()
    client.force_login(stage.make_user("viewer"))
    print(f"{groups} groups on {servers} servers, {runs} runs each; load {os.getloadavg()[0]:.1f}")
    limits = f" (limits {LIMIT_MS:.0f} ms, {LIMIT_BYTES} bytes)" if (groups, servers) == (100, 20) else ""
    for language in ("en", "ru"):
        page(client, f"overview, {language}", "/", language, limits, slow=slow)
    page(client, "overview, one state", "/?state=attention", "en", "", slow=slow)
    page(client, "server", f"/servers/{made.servers[0].uuid}/", "en", "", slow=slow)


def page(client: Any, name: str, address: str, language: str, limits: str, *, slow: bool) -> None:
    """The median of some tries, and what PostgreSQL took of it."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    headers = {"accept-language": language}
    times, worked, answer = [], [], client.get(address, headers=headers)
    assert answer.status_code == 200, answer.status_code
    for _ in range(TRIES):
        since, work = time.perf_counter(), time.process_time()
        answer = client.get(address, headers=headers)
        times.append((time.perf_counter() - since) * 1000)
        worked.append((time.process_time() - work) * 1000)
    with CaptureQueriesContext(connection) as asked:
        client.get(address, headers=headers)
    spent = sum(float(query["time"]) for query in asked.captured_queries) * 1000
    print(
        f"{name:22} {statistics.median(times):6.0f} ms, best {min(times):.0f} ms, processor {min(worked):.0f} ms, "
        f"{len(asked)} queries {spent:.0f} ms, {len(answer.content)} bytes{limits}", flush=True
    )  # fmt: skip
    if slow:
        for query in sorted(asked.captured_queries, key=lambda query: -float(query["time"]))[:6]:
            print(f"    {float(query['time']) * 1000:6.0f} ms {query['sql'][:160]}")


if __name__ == "__main__":
    main()
