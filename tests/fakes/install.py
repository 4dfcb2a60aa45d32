"""Puts a fake tool under the name by which it is called."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent


def install(fake: str, folder: Path, name: str) -> str:
    """The path of an executable copy of the fake `fake`, called `name`, in `folder`."""
    target = folder / name
    target.write_text(f"#!{sys.executable} -IS\n{(HERE / fake).with_suffix('.py').read_text('utf-8')}", "utf-8")
    target.chmod(0o755)
    return str(target)
