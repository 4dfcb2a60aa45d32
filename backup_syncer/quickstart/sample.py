"""Make a small tree to try the system on: different types and awkward names, the same on every machine."""

from __future__ import annotations

import os
from pathlib import Path


def make_sample(directory: Path) -> Path:
    """Make the tree unless it exists: a second run is to see an unchanged one. Return the directory."""
    if directory.exists():
        return directory

    partial = directory.with_name(f".{directory.name}.new")
    for year in range(2019, 2027):
        (partial / str(year)).mkdir(parents=True, exist_ok=True)
        for number in range(12):
            data = f"photo {year}-{number:02}\n".encode() * (number * number * 500 + 1)
            (partial / str(year) / f"photo-{number:02}.jpg").write_bytes(data)

    (partial / "empty").write_bytes(b"")
    (partial / "имя с пробелом и\nпереводом строки").write_bytes(b"a name of two lines\n")
    (partial / "back\\slash").write_bytes(b"a name with a backslash\n")

    if not (partial / "latest").is_symlink():
        (partial / "latest").symlink_to("2026")
        os.link(partial / "2019" / "photo-11.jpg", partial / "the same file.jpg")

    partial.rename(directory)
    return directory
