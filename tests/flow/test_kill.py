"""kill -9 of collector, web server and workers at several stages: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.processes import Collector, RunningSystem, wait_for


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """3,000 small files and three large ones: enough work to be killed in the midst of it."""
    root = tmp_path / "data"
    for directory in range(30):
        (root / f"{directory:02d}").mkdir(parents=True)
        for number in range(100):
            (root / f"{directory:02d}" / f"{number:03d}").write_bytes(os.urandom(64))
    for number in range(3):
        (root / f"large{number}").write_bytes(os.urandom(24 << 20))
    return root


@pytest.fixture
def enrolled(system: RunningSystem, tree: Path, tmp_path: Path) -> Iterator[Collector]:
    """A collector whose only replica is the tree; what it started and is still there ends with the test."""
    _, token = system.replica(tree, "alpha")
    collector = Collector(tmp_path / "alpha", system.url)
    done = collector("enroll", token)
    assert done.returncode == 0, done.stderr
    yield collector
    for group in collector.started:
        group.kill()


def everything_holds(system: RunningSystem, runs: int) -> None:
    """Every run from 1 on is there once, ingested and proven by a fresh verification."""
    system.await_proofs(runs, 150)
    assert system.runs() == [(number, "ingested") for number in range(1, runs + 1)]
    done = system.manage("verify_run", "--all", check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_collector_killed_at_any_moment(system: RunningSystem, enrolled: Collector) -> None:
    """Ten kills spread over a run: the run after them is right, and the chain has no hole."""
    spread = random.Random(7)
    for _ in range(10):
        going = enrolled.start("run")
        time.sleep(spread.uniform(0.05, 1.6))
        going.kill()
    done = enrolled("run")
    assert done.returncode == 0, done.stderr
    (count,) = system.query("SELECT count(*) FROM scanner_run")[0]
    everything_holds(system, count)


@pytest.mark.long
def test_web_killed_during_the_upload(system: RunningSystem, enrolled: Collector) -> None:
    """A web server that dies while reports arrive, and comes back: the collector delivers, once."""
    for delay in (0.6, 1.0, 1.4, 1.8):
        going = enrolled.start("run")
        time.sleep(delay)
        system.web.kill()
        time.sleep(0.3)
        system.web.start()
        system.await_web()
        process = going.process
        assert process is not None
        assert process.wait(90) in (0, 2), going.log.read_text()
    assert enrolled("run").returncode == 0
    (count,) = system.query("SELECT count(*) FROM scanner_run")[0]
    assert count >= 5
    everything_holds(system, count)


@pytest.mark.long
def test_web_dead_all_along(system: RunningSystem, enrolled: Collector) -> None:
    """Without a central server the run is made, signed and queued, exit code 2; the next run delivers both in order."""
    assert enrolled("run").returncode == 0
    system.web.kill()
    config = enrolled.config.read_text()
    enrolled.config.write_text(config.replace("patience = 60", "patience = 1"))
    alone = enrolled("run")
    assert alone.returncode == 2, alone.stderr
    system.web.start()
    system.await_web()
    assert enrolled("run").returncode == 0
    everything_holds(system, 3)


@pytest.mark.long
def test_workers_killed_during_ingest(system: RunningSystem, enrolled: Collector) -> None:
    """Workers that die again and again while they ingest: a later one ingests each run once."""
    for delay in (0.0, 0.1, 0.3):
        assert enrolled("run").returncode == 0
        time.sleep(delay)
        system.cluster.kill()
        system.cluster.start()
    everything_holds(system, 3)


def test_all_killed_at_once(system: RunningSystem, enrolled: Collector) -> None:
    """Collector, web server and workers killed together: after a start of all, the next run mends everything."""
    assert enrolled("run").returncode == 0
    going = enrolled.start("run", "--max-rate", "6")
    wait_for(lambda: system.query("SELECT count(*) FROM scanner_progress")[0][0], 30, "the run's progress")
    for group in (going, system.web, system.cluster):
        group.kill()
    system.web.start()
    system.cluster.start()
    system.await_web()
    assert enrolled("run").returncode == 0
    (count,) = system.query("SELECT count(*) FROM scanner_run")[0]
    everything_holds(system, count)
