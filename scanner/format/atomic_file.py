"""Write files that have their name only when they are whole and on disk.

The content goes to a temporary name in the same directory. Then the file is synchronised, renamed, and its directory is
synchronised: without the last step a power cut loses the new name on ext4 and xfs. An fsync that failed is not tried
again, since the kernel may have dropped the pages that it could not write.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Callable

TEMPORARY_SUFFIX = ".part"
"""End of the names that a killed process may leave behind."""

# O_EXCL and O_NOFOLLOW: a link that somebody planted under the temporary name is not written through.
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _ignore_step(step: str) -> None:
    del step


@contextmanager
def open_atomic(path: Path, mode: int = 0o600, on_step: Callable[[str], None] = _ignore_step) -> Iterator[BinaryIO]:
    """Open a new file that takes the name `path` when the block ends, and leaves nothing when the block fails.

    `mode` is masked by the umask. `on_step` is called between the steps: "written" before the content is synchronised,
    "rename" before and "renamed" after the file has its name. Raise OSError.
    """
    temporary = temporary_path(path)

    # A killed process may have left its file, which O_EXCL would refuse for ever.
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, _NEW_FILE, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            on_step("written")
            os.fsync(file.fileno())
        replace(temporary, path, on_step)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Return the name under which `path` is written."""
    return path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")


def replace(source: Path, target: Path, on_step: Callable[[str], None] = _ignore_step) -> None:
    """Rename a file or a directory, so that the new name is on disk. `on_step` as in `open_atomic`. Raise OSError."""
    on_step("rename")
    os.replace(source, target)
    on_step("renamed")

    sync_directory(target.parent)
    # The target first: after a power cut in between, two names are better than none.
    if source.parent != target.parent:
        sync_directory(source.parent)


def sync_directory(directory: Path) -> None:
    """Put the names in a directory on disk. Raise OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # A file system that does not buffer directories says EINVAL.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
