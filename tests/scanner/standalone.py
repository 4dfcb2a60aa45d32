"""The standalone verifier of deploy/, for tests: it is no module of a package."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "deploy" / "verify_report.py"

sys.path.insert(0, str(PATH.parent))
import verify_report  # noqa: E402  # the scripts of deploy/ are no package

sys.path.pop(0)


def call(*arguments: str | Path, python: str = sys.executable) -> tuple[int, str]:
    """Exit code and all output of the program, in a process of its own that sees nothing of the checkout."""
    command = [python, "-I", str(PATH), *map(str, arguments)]
    done = subprocess.run(command, cwd="/", capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def look(path: Path, *keys: bytes) -> tuple[int, str]:
    """Exit code, and what does not hold, of one report looked at in this process."""
    known = {hashlib.sha256(key).hexdigest(): key for key in keys}
    output = verify_report.Output()
    try:
        verify_report.Report(path).check(known, output)
    except verify_report.CheckFailed as error:
        return 1, str(error)
    except (EOFError, OSError, zlib.error) as error:
        return 1, f"compression: {error}"

    return max(output.outcomes), ""


__all__ = ["PATH", "call", "look", "verify_report"]
