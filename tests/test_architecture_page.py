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
    """Each file and directory that the page names is in the tree."""
    paths = PATH.findall(page.read_text(encoding="utf-8"))
    assert len(paths) > 10
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing == [], f"{page.name} names files that are gone: name the modules that took over"


def test_every_package_is_described() -> None:
    """Each package but those of migrations says in its `__init__.py` what it is."""
    packages = [
        path
        for directory in ("backup_syncer", "scanner", "checker")
        for path in (ROOT / directory).rglob("__init__.py")
        if path.parent.name != "migrations"
    ]
    silent = [
        path.relative_to(ROOT).as_posix() for path in packages if not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == [], "begin these files with a docstring: what the directory answers, and who may import it"
