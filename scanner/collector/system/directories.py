"""Open directories with care: the root, and what is below it without a symbolic link on the way."""

from __future__ import annotations

import os

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
"""The flags of open(2) for a directory."""


class RootError(Exception):
    """The root cannot be read."""

    def __init__(self, root: bytes, reason: str, detail: str = "") -> None:
        message = f"{reason}: {os.fsdecode(root)}"
        if detail:
            message += f" ({detail})"
        super().__init__(message)
        self.root = root
        self.reason = reason
        """A short stable text: `root missing`, `root is not a directory` or `root unreadable`."""
        self.detail = detail


def open_root(root: bytes) -> int:
    """Return a descriptor of the directory `root`, which may itself be a symbolic link. Raise RootError."""
    try:
        return os.open(root, OPEN_DIRECTORY)
    except FileNotFoundError as error:
        raise RootError(root, "root missing") from error
    except NotADirectoryError as error:
        raise RootError(root, "root is not a directory") from error
    except OSError as error:
        raise RootError(root, "root unreadable", error.strerror or "") from error


def open_directory(root: int, path: bytes) -> int:
    """Return a descriptor of the directory at `path` below the descriptor `root`. Raise OSError.

    No part of the path may be a symbolic link. The path is opened part by part, so it may be longer than PATH_MAX.
    """
    descriptor = os.dup(root)
    if not path:
        return descriptor

    for part in path.split(b"/"):
        parent = descriptor
        try:
            descriptor = os.open(part, OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        finally:
            os.close(parent)
    return descriptor
