"""Directories are opened without following links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.collector.system.directories import open_directory


def test_open_directory_follows_nothing(tmp_path: Path) -> None:
    """No part of a path below a root may be a symbolic link."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    root = os.open(tmp_path, os.O_RDONLY)
    try:
        os.close(open_directory(root, b"a/b"))
        with pytest.raises(OSError):
            open_directory(root, b"link/b")
    finally:
        os.close(root)
