"""The uploader in the documentation of the API is a program that works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flow.processes import REPOSITORY, RunningSystem


@pytest.mark.parametrize("language", ["en", "ru"])
def test_documented_uploader_delivers_a_run_that_is_proven(
    system: RunningSystem, tmp_path: Path, language: str
) -> None:
    """Copied from the page, it enrols, asks, hashes, signs and uploads, and the central server proves its run."""
    page = (REPOSITORY / "docs" / language / "api.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    uploader = tmp_path / "uploader.py"
    uploader.write_text(code, encoding="utf-8")
    root = tmp_path / "photos"
    root.mkdir()
    (root / "a.jpg").write_bytes(b"one")
    (root / "b.jpg").write_bytes(b"two")
    _replica, token = system.replica(root, "alpha")

    command = [sys.executable, str(uploader), system.url, token, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "'sequence': 1" in done.stdout
    system.await_proofs(1)
