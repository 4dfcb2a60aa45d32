"""Measure the hash pass beside other programs and the limit of the processor, in one run.

    python tests/bench/hash_pass.py [--large-bytes N] [--small-count N] …

Both digests of every file, from the page cache. The limit is what `openssl speed` reaches for SHA-256 and MD5
one after the other, times the workers. Best of several rounds; all take their turn in each round.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from scanner.collector.engines.choice import choose_engine
from scanner.collector.entries import HashedFile, WalkedEntry
from scanner.collector.run.hash_pass import HashPass
from scanner.collector.run.walk import walk
from scanner.collector.system import cores
from scanner.format.entry_type import EntryType
from scanner.format.excludes import Excludes

MIB = 1 << 20
PIECE = 4 * MIB


class Figure(NamedTuple):
    """Times of one program for one set of files."""

    seconds: float
    cpu: float


def main() -> None:
    """Make the two sets, measure, print."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory) as directory:
        print(f"workers {options.workers}; {os.cpu_count()} processors; best of {options.rounds} rounds")
        if options.large_bytes:
            large = fill(Path(directory) / "large", options.large_count, options.large_bytes // options.large_count)
            report("large files", large, options, limit(options.workers))
        if options.small_count:
            small = fill(Path(directory) / "small", options.small_count, options.small_size)
            report("small files", small, options, None)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description="Measure the hash pass beside other programs.")
    parser.add_argument("--directory", help="where to make the files (default: where temporary files go)")
    parser.add_argument("--large-bytes", type=int, default=2 << 30, help="bytes of all large files (0: none)")
    parser.add_argument("--large-count", type=int, default=8)
    parser.add_argument("--small-count", type=int, default=100_000, help="number of small files (0: none)")
    parser.add_argument("--small-size", type=int, default=2048)
    parser.add_argument("--workers", type=int, default=cores.count_workers())
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def fill(directory: Path, count: int, size: int) -> Path:
    """A directory with `count` files of `size` random bytes, 1,000 to a directory."""
    for number in range(count):
        if number % 1000 == 0:
            (directory / f"{number // 1000:03}").mkdir(parents=True)
        with (directory / f"{number // 1000:03}" / f"{number:06}").open("wb") as file:
            for start in range(0, size, PIECE):
                file.write(os.urandom(min(PIECE, size - start)))
    os.sync()
    return directory


def limit(workers: int) -> float:
    """Bytes a second of both digests together, as `openssl speed` computes them by processor time."""
    rates = []
    for algorithm in ("sha256", "md5"):
        command = ["openssl", "speed", "-mr", "-seconds", "2", "-bytes", "16384", "-evp", algorithm]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rates.append(float(re.findall(r"^\+F:.*:([0-9.]+)$", output, re.MULTILINE)[-1]))
    return workers / sum(1 / rate for rate in rates)


def report(title: str, directory: Path, options: argparse.Namespace, most: float | None) -> None:
    """Measure everything on one set and print a line each, the ratio being to our hashlib engine."""
    files = sorted(walk(os.fsencode(directory), Excludes([])), key=lambda entry: -entry.size)
    assert all(entry.type == EntryType.FILE for entry in files)
    total = sum(entry.size for entry in files)
    listed = directory.with_suffix(".list")
    listed.write_bytes(b"".join(os.fsencode(directory) + b"/" + entry.path + b"\n" for entry in files))
    programs = ours(directory, files, options.workers) | others(listed, options.workers)
    best: dict[str, Figure] = {}
    for _ in range(options.rounds):
        for name, program in programs.items():
            figure = timed(program)
            best[name] = min(best.get(name, figure), figure)
    print(f"\n{title}: {len(files)} files, {total / MIB:.0f} MiB")
    base = best["hash pass, hashlib"]
    for name, figure in best.items():
        rate = total / MIB / figure.seconds
        line = f"  {name:42} {figure.seconds:7.2f} s  {figure.cpu:7.2f} s CPU  {rate:7.0f} MiB/s"
        print(f"{line}  {len(files) / figure.seconds:9.0f} files/s  x{figure.seconds / base.seconds:.2f}")
    if most is not None:
        reached = total / base.seconds / most
        alone = total * options.workers / base.cpu / most
        print(f"  limit by openssl speed {most / MIB:.0f} MiB/s; by the clock hashlib reaches {reached:.3f} of it,")
        print(f"  {alone:.3f} by processor time (what counts when other work shares the machine)")


def ours(directory: Path, files: list[WalkedEntry], workers: int) -> dict[str, Callable[[], None]]:
    """The hash pass with each engine."""

    def run(engine: str) -> None:
        with HashPass(os.fsencode(directory), choose_engine(engine), workers) as hash_pass:
            count = sum(isinstance(result, HashedFile) for result in hash_pass.run(iter(files)))
        assert count == len(files)

    return {f"hash pass, {engine}": partial(run, engine) for engine in ("hashlib", "native")}


def others(listed: Path, workers: int) -> dict[str, Callable[[], None]]:
    """The other programs that are installed, by how they are called."""
    spread = f"xargs -d '\\n' -P {workers} -n $(( ($(wc -l < {listed}) + {workers * 8 - 1}) / {workers * 8} ))"
    both = "--sha256 --md5 --simple"
    parts = f"split -n l/{workers} {listed} {listed}. && for part in {listed}.*"
    split = f"{parts}; do rhash {both} --file-list $part & done; wait"
    shells = {
        f"rhash, xargs -P {workers}": f"{spread} rhash {both} < {listed}",
        f"rhash, {workers} processes, half the list each": split,
        "rhash, two processes a file": f"rhash --sha256 --file-list {listed} & rhash --md5 --file-list {listed}; wait",
        "hashdeep": f"hashdeep -j {workers} -c md5,sha256 -f {listed}",
        "sha256sum and md5sum at once": f"xargs -d '\\n' sha256sum < {listed} & xargs -d '\\n' md5sum < {listed}; wait",
    }
    installed = {name for name in shells if shutil.which(re.split(r"[ ,]", name)[0])}
    return {name: partial(sh, shell) for name, shell in shells.items() if name in installed}


def sh(command: str) -> None:
    """Run a shell command and drop what it prints."""
    subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)


def timed(work: Callable[[], None]) -> Figure:
    """The seconds that something takes, by the clock and of processor time in this process and below."""
    before, started = cpu(), time.perf_counter()
    work()
    return Figure(time.perf_counter() - started, cpu() - before)


def cpu() -> float:
    """The processor time of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
