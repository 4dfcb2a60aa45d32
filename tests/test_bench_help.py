"""Every benchmark explains itself: asked for help, it prints its arguments and measures nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCHES = sorted(path.stem for path in (ROOT / "tests" / "bench").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", BENCHES)
def test_help(name: str) -> None:
    """Each module of `tests/bench` answers `--help` with exit code 0."""
    command = [sys.executable, "-m", f"tests.bench.{name}", "--help"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"give {name} an argparse parser before anything is measured:\n{answer.stderr}"
    assert answer.stdout.startswith("usage:")
