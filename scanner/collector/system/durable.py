"""Write, rename and remove files so that a crash leaves either the old or the new state.

The steps are those of `scanner.format.atomic_file`. Here an OSError becomes a StorageError, and tests can make each
step fail.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Callable, Iterator

from scanner.collector.errors import StorageError
from scanner.collector.system.fail_points import fail_point
from scanner.format import atomic_file
from scanner.format.atomic_file import TEMPORARY_SUFFIX, sync_directory

__all__ = [
    "TEMPORARY_SUFFIX",
    "create_file",
    "make_directory",
    "remove_file",
    "rename",
    "storage_errors",
    "sync_directory",
    "write_file",
]


def write_file(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, in place of the one that has this name."""
    with create_file(path) as file:
        file.write(content)


@contextmanager
def create_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the name `path` when the block ends well and disappears when it does not."""
    with storage_errors(path), atomic_file.open_atomic(path, on_step=_fail_points(path)) as file:
        yield file


def rename(source: Path, target: Path) -> None:
    """Rename a file or directory. The new name is on disk when this returns."""
    with storage_errors(target):
        atomic_file.replace(source, target, _fail_points(target))


def remove_file(path: Path) -> None:
    """Remove a file if it exists."""
    with storage_errors(path):
        fail_point(f"{path.suffix or path.name}:remove", disk=True)
        path.unlink(missing_ok=True)


def make_directory(path: Path) -> Path:
    """Make a directory that only its owner can enter, with its parents, unless it exists. Return its path."""
    with storage_errors(path):
        missing = [directory for directory in (path, *path.parents) if not directory.exists()]
        for directory in reversed(missing):
            directory.mkdir(mode=0o700, exist_ok=True)
            sync_directory(directory.parent)
    return path


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def _fail_points(path: Path) -> Callable[[str], None]:
    """Return a function that passes the fail point of a step: `.jsonl:written`, say."""
    return lambda step: fail_point(f"{path.suffix or path.name}:{step}", disk=True)
