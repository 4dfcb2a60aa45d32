"""Check what docs/en/architecture.md and CONTRIBUTING.md say of the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE = ROOT / "docs" / "en" / "architecture.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PATH = re.compile(r"`((?:backup_syncer|scanner|checker|templates|deploy|tests|docs)/[\w./-]*\w)`")


@pytest.mark.parametrize("page", [ARCHITECTURE, CONTRIBUTING], ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    """Each file and folder that the page names is in the tree."""
    paths = PATH.findall(page.read_text(encoding="utf-8"))
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_package_is_described() -> None:
    """Each folder of Python that holds modules says in its `__init__.py` what it is."""
    silent = []
    for package in ("backup_syncer", "scanner", "checker"):
        for path in (ROOT / package).rglob("__init__.py"):
            holds_modules = len(list(path.parent.glob("*.py"))) > 1 and path.parent.name != "migrations"
            if holds_modules and not path.read_text(encoding="utf-8").startswith('"""'):
                silent.append(path.relative_to(ROOT).as_posix())
    assert silent == []
