"""Find the files that travel with the project beside its Python packages: templates and documents."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Return the directory `name`: at the top level of a checkout, or inside the installed package."""
    checkout = PACKAGE.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / name

    return PACKAGE / name
