"""Pack the collector into one executable file (a zipapp). The same source gives the same bytes.

Standard library only. See build_collector.sh.
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

SCANNER = Path(__file__).resolve().parent.parent / "scanner"
sys.path.insert(0, str(SCANNER.parent))

from scanner.format.atomic_file import open_atomic  # noqa: E402  # the checkout is on the path only now

DIRECTORIES = ("format", "collector")
"""The directories of `scanner` that the collector consists of."""

# Parsed by whatever `python3` is: the check must run before anything that an old Python cannot parse is imported.
MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("backup-syncer-collector needs Python 3.9 or newer, this is " + sys.version.split()[0])
from scanner.collector.__main__ import main

sys.exit(main())
"""
SHEBANG = b"#!/usr/bin/env python3\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of each file in the archive: the earliest that the format knows."""


def build(target: Path) -> None:
    """Write the executable file. It replaces an older one only when it is complete."""
    with open_atomic(target) as file:
        os.fchmod(file.fileno(), 0o755)
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            _add(archive, "__main__.py", MAIN.encode())
            for path in sources():
                _add(archive, f"scanner/{path.relative_to(SCANNER).as_posix()}", path.read_bytes())


def sources() -> list[Path]:
    """Return the modules that go into the file."""
    modules = [SCANNER / "__init__.py"]
    for directory in DIRECTORIES:
        modules.extend(sorted((SCANNER / directory).rglob("*.py")))
    return modules


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # Time and mode are set, because those of the checkout would change the bytes.
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
