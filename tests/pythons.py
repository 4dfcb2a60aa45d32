"""Find other Pythons on this machine, to run the collector on the oldest version that it supports."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path


@cache
def find_python(version: str, check: str = "") -> str | None:
    """Return a Python of this version that runs the code `check` without an error.

    Looks on the PATH and where pyenv keeps its versions.
    """
    name = f"python{version}"
    on_path = shutil.which(name)
    pyenv_roots = [Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()]
    candidates = []
    if on_path:
        candidates.append(on_path)
        pyenv_roots.append(Path(on_path).parent.parent)  # it may be one of pyenv's shims
    for root in pyenv_roots:
        candidates += [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/{name}"))]

    for python in candidates:
        if subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0:
            return python
    return None
