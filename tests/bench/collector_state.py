"""Measure the collector's state for a million entries: seconds a stage and peak memory, beside their limits.

    python -m tests.bench.collector_state [ENTRIES] [DIRECTORY]

The walk and the hash pass are replaced by generators, so that only tables, records and report are measured.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from scanner.collector.delivery.chain import ChainPosition
from scanner.collector.delivery.spool import Spool
from scanner.collector.entries import HashedFile, WalkedEntry
from scanner.collector.run import report_body, state
from scanner.collector.run.ctime_trust import FileSystemTrust
from scanner.collector.run.statement import Job, ReadOutcome, RunClock, build_statement
from scanner.collector.run.workspace import Workspace
from scanner.format.entry_type import EntryType
from scanner.format.signing import SigningKey

WRITE_LIMIT, MEMORY_LIMIT = 5.0, 250
"""Seconds for a million entries of state, and MiB of the whole process."""
UUID = "00000000-0000-4000-8000-000000000000"

Value = TypeVar("Value")


def walked_entries(count: int) -> Iterator[WalkedEntry]:
    """Entries as a walk gives them: directory by directory, names in no order, sizes of all kinds."""
    for number in range(count):
        here = number * 7919 % 1000
        path = b"photos/%04d/2019-%07d-%04d-some-name.jpg" % (number // 1000, number, here)
        size = number * 2654435761 % (1 << 22)
        yield WalkedEntry(
            path, EntryType.FILE, size, 1_573_000_000_000_000_000 + number, number, 0o100644, 1000, 1000, 2049, number
        )


def hashed_file(entry: WalkedEntry) -> HashedFile:
    """A result that saw what the walk saw."""
    digest = hashlib.sha512(entry.path).digest()
    rest = (entry.size, entry.mtime_ns, entry.ctime_ns, entry.mode, entry.uid, entry.gid, entry.dev, entry.ino)
    return HashedFile(entry.path, digest[:32], digest[32:48], *rest)


def timed(name: str, act: Callable[[], Value], limit: float | None = None) -> Value:
    """Do `act` and print how long it took, by the clock and of the processor, and the peak of memory until then."""
    since, busy = time.perf_counter(), time.process_time()
    result = act()
    seconds, busy = time.perf_counter() - since, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    allowed = f"  (limit {limit:.1f} s)" if limit else ""
    print(f"{name:<38}{seconds:7.2f} s  (processor {busy:6.2f} s)   peak {peak:4d} MiB{allowed}")
    return result


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("entries", type=int, nargs="?", default=1_000_000, help="entries (default: %(default)s)")
    parser.add_argument("directory", nargs="?", help="where to make the state (default: where temporary files go)")
    return parser.parse_args()


def main() -> None:
    """Print a line for each stage."""
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        measure(Path(name), options.entries)
        look_back(Path(name), options.entries)


def measure(directory: Path, count: int) -> None:
    """All stages of one run in `directory`."""
    spool, work = Spool(directory), Workspace(directory)
    spool.prepare()
    limit = WRITE_LIMIT * count / 1_000_000
    timed("(the generator alone)", lambda: sum(1 for _ in walked_entries(count)))
    timed("walk into the tables", lambda: collections.deque(map(work.add_entry, walked_entries(count)), 0), limit)
    timed("order, largest first; hard links", work.plan_hash_pass)
    timed(
        "hash pass: files out, results in",
        lambda: collections.deque(map(work.add_result, map(hashed_file, work.files_to_hash())), 0),
    )
    timed("rounds of hard links", lambda: [list(files) for files in work.hard_link_rounds()])
    timed("the next state, sorted by path", work.merge_results, limit)
    entries, notes = work.count_records()
    with (directory / "body").open("w+b") as lines:
        tally = timed(
            "report: lines and digests",
            lambda: report_body.write_body(work.records(), entries + notes, lines, directory),
        )
        job = Job(UUID, UUID, UUID, "bench", b"/bench", "", "auto", False, None, directory)
        engine = {"name": "hashlib", "wanted": "auto", "why": "bench", "tools": []}
        statement = build_statement(job, UUID, ChainPosition(1, None), RunClock(), ReadOutcome(None, engine, tally), ())
        key = SigningKey.create(directory / "key.pem")
        lines.seek(0)
        report = timed("report: signed, compressed, flushed", lambda: spool.add_report(statement, lines, key))
    meta = {"run": UUID, "sequence": 1, "entries": entries, "file_system": None, "mounts": []}
    timed("state flushed and swapped", lambda: work.commit(meta))
    assert state.read_last_run(directory) is not None
    sizes = [path.stat().st_size / count for path in (directory / state.FILE_NAME, report.path)]
    print(f"bytes an entry: state {sizes[0]:.0f}, report {sizes[1]:.0f}; memory limit {MEMORY_LIMIT} MiB")


def look_back(directory: Path, count: int) -> None:
    """Measure the next run, in which one file of a thousand has different content and the old times."""
    with Workspace(directory) as work:
        collections.deque(map(work.add_entry, walked_entries(count)), 0)
        work.plan_hash_pass()
        for entry in work.files_to_hash():
            result = hashed_file(entry)
            work.add_result(result if entry.ino % 1000 else result._replace(md5=bytes(16)))
        work.merge_results()
        with work.previous_run() as previous_run:
            suspects, _size = timed(
                "suspects, beside the last state",
                lambda: previous_run.find_suspects(FileSystemTrust(ctimes=True, inodes=True, one_device=True)),
            )
            suspect_count = sum(len(names) for chunk in previous_run.suspects() for names in chunk)
    assert suspect_count == suspects == len(range(0, count, 1000))


if __name__ == "__main__":
    main()
