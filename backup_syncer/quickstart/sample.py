"""A small tree to try the system on: different types and awkward names, the same on every machine."""

from __future__ import annotations

import os
from pathlib import Path


def make_sample(folder: Path) -> Path:
    """Make it where it is missing; what is there stays as it is, so that a second run sees an unchanged tree."""
    if folder.exists():
        return folder
    made = folder.with_name(f".{folder.name}.new")
    for year in range(2019, 2027):
        (made / str(year)).mkdir(parents=True, exist_ok=True)
        for number in range(12):
            data = f"photo {year}-{number:02}\n".encode() * (number * number * 500 + 1)
            (made / str(year) / f"photo-{number:02}.jpg").write_bytes(data)
    (made / "empty").write_bytes(b"")
    (made / "имя с пробелом и\nпереводом строки").write_bytes(b"a name of two lines\n")
    (made / "back\\slash").write_bytes(b"a name with a backslash\n")
    if not (made / "latest").is_symlink():
        (made / "latest").symlink_to("2026")
        os.link(made / "2019" / "photo-11.jpg", made / "the same file.jpg")
    made.rename(folder)
    return folder
