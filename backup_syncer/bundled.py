"""Find the files that travel with the project beside its Python packages: templates and documents."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Return the directory `name`: inside the installed package, or at the top level of a checkout."""
    installed = PACKAGE / name
    if installed.is_dir():
        return installed

    return PACKAGE.parent / name
