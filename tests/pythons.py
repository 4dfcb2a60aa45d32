"""Other Pythons of this machine, for tests that run the collector on the oldest one it supports."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path


@cache
def find(version: str, check: str = "") -> str | None:
    """A Python of this version on which `check` ends well: from the path, or from where pyenv keeps its versions."""
    name = f"python{version}"
    shim = shutil.which(name)
    roots = [Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()]
    if shim:
        roots.append(Path(shim).parent.parent)
    kept = [str(path) for root in roots for path in sorted(root.glob(f"versions/{version}.*/bin/{name}"))]
    for place in [shim, *kept]:
        if place and subprocess.run([place, "-c", check], capture_output=True, check=False).returncode == 0:
            return place
    return None
