"""Directories, opened with care: the root, and what lies below it without a symbolic link on the way."""

from __future__ import annotations

import os

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class RootError(Exception):
    """The root cannot be read."""

    def __init__(self, root: bytes, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {os.fsdecode(root)}" + (f" ({detail})" if detail else ""))
        self.root = root
        self.reason = reason
        """A short stable text: `root missing`, `root is not a directory` or `root unreadable`."""


def open_root(root: bytes) -> int:
    """A descriptor of the directory `root`, which may itself be a symbolic link. Raises RootError."""
    try:
        return os.open(root, DIRECTORY)
    except FileNotFoundError as error:
        raise RootError(root, "root missing") from error
    except NotADirectoryError as error:
        raise RootError(root, "root is not a directory") from error
    except OSError as error:
        raise RootError(root, "root unreadable", error.strerror or "") from error


def open_directory(root: int, path: bytes) -> int:
    """A descriptor of the directory at `path` below the descriptor `root`; no part of it may be a symbolic link.

    Goes part by part, so the path may be longer than PATH_MAX. Raises OSError.
    """
    descriptor = os.dup(root)
    for part in path.split(b"/") if path else []:
        above = descriptor
        try:
            descriptor = os.open(part, DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        finally:
            os.close(above)
    return descriptor
