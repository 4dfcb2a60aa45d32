"""A rate limit holds for all processes together."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.collector.system.rate_limit import RateLimit

CHECKOUT = Path(__file__).parents[4]

SCRIPT = """
import sys
from scanner.collector.system.rate_limit import RateLimit
limit = RateLimit(1 << 20, int(sys.argv[1]))
for _ in range(8):
    limit.wait(1 << 16)
"""


def test_one_process() -> None:
    """Each booking pushes the next one back by what it takes; nothing is saved up."""
    limit = RateLimit(1000.0)
    assert limit.reserve(500) == 0.0
    # Time that has passed since is taken off.
    first_wait = limit.reserve(250)
    second_wait = limit.reserve(1)
    assert 0 < first_wait <= 0.5
    assert first_wait < second_wait <= 0.75
    limit.close()


def test_several_processes() -> None:
    """Processes that share a limit share one rate."""
    limit = RateLimit(1 << 20)
    command = [sys.executable, "-c", SCRIPT, str(limit.fileno())]
    started = time.monotonic()
    processes = [subprocess.Popen(command, pass_fds=[limit.fileno()], cwd=CHECKOUT) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert time.monotonic() - started >= 0.9
    limit.close()


def test_long_wait_keeps_alive() -> None:
    """A long wait calls back on the way."""
    limit = RateLimit(1000.0)
    calls = []
    limit.wait(1200, lambda: calls.append(time.monotonic()))
    limit.wait(1, lambda: calls.append(time.monotonic()))
    assert len(calls) >= 2
    limit.close()


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_impossible_rate(rate: float) -> None:
    """A limit of nothing would wait for ever, and is refused."""
    with pytest.raises(ValueError, match="more than 0"):
        RateLimit(rate)
