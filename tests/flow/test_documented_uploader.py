"""The uploader in the documentation of the API is a program that works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.flow.processes import REPOSITORY, RunningSystem


def test_documented_uploaders_deliver_runs_that_are_proven(system: RunningSystem, tmp_path: Path) -> None:
    """Copied from its page, each enrols, asks, hashes, signs and uploads, and the central server proves its run."""
    for number, language in enumerate(("en", "ru"), 1):
        directory = tmp_path / language
        uploader = write_uploader(directory, language)
        root = directory / "photos"
        root.mkdir()
        (root / "a.jpg").write_bytes(b"one")
        (root / "b.jpg").write_bytes(b"two")
        _replica, token = system.replica(root, f"server-{language}")

        command = [sys.executable, str(uploader), system.url, token, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stderr
        assert "'sequence': 1" in done.stdout
        system.await_proofs(number)


def write_uploader(directory: Path, language: str) -> Path:
    """Write the program of the API's page in this language to a file, and return its path."""
    page = (REPOSITORY / "docs" / language / "api.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    directory.mkdir()
    uploader = directory / "uploader.py"
    uploader.write_text(code, encoding="utf-8")
    return uploader
