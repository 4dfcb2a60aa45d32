"""Put a fake tool under the name by which it is called."""

from __future__ import annotations

import sys
from pathlib import Path

FAKES = Path(__file__).parent


def install(fake: str, directory: Path, name: str) -> str:
    """Write an executable copy of a fake under this name into a directory. Return its path."""
    source = (FAKES / fake).with_suffix(".py").read_text("utf-8")
    program = directory / name
    program.write_text(f"#!{sys.executable} -IS\n{source}", "utf-8")
    program.chmod(0o755)
    return str(program)
