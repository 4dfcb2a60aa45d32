"""Run a program of the system whose answer is welcome but not needed."""

from __future__ import annotations

import subprocess

_SECONDS = 20


def run_tool(*command: str) -> bytes:
    """Return what a program prints, or nothing when it is absent, fails or hangs: each caller has a fallback."""
    try:
        process = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return b""

    if process.returncode != 0:
        return b""
    return process.stdout
