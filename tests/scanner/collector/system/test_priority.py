"""The collector runs at a low priority."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[4]

SCRIPT = """
import subprocess, sys
from scanner.collector.system.priority import lower_priority
print(lower_priority(), lower_priority())
sys.stdout.flush()
subprocess.run(["nice"])
subprocess.run(["ionice"])
"""


def test_priority() -> None:
    """The process is nice, at the lowest best-effort I/O priority, and its children are as well."""
    process = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, cwd=CHECKOUT)
    steps, nice, *ionice = process.stdout.splitlines()
    assert steps.startswith("['nice 10'")
    assert nice == "10"
    if sys.platform == "linux":
        assert "ionice best-effort 7" in steps
        assert ionice == ["best-effort: prio 7"]
