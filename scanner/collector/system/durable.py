"""Write files and folders of the collector durably: whole and on disk, or not there.

The steps are those of `scanner.format.atomic_file`. Here the fail points of tests are passed between them, and an
OSError becomes a StorageError.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Callable, Iterator

from scanner.collector.errors import StorageError
from scanner.collector.system.fail_points import reach
from scanner.format import atomic_file
from scanner.format.atomic_file import TEMPORARY_SUFFIX, sync_folder

__all__ = ["TEMPORARY_SUFFIX", "create", "folder", "remove", "rename", "storage_errors", "sync_folder", "write"]


def write(path: Path, content: bytes) -> None:
    """Put `content`, readable by its owner alone, in the place of the file `path`."""
    with create(path) as file:
        file.write(content)


@contextmanager
def create(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write that takes the name `path` when the block ends well, and leaves nothing when it does not."""
    with storage_errors(path), atomic_file.open_atomic(path, on_step=_fail_points(path)) as file:
        yield file


def rename(source: Path, target: Path) -> None:
    """Give a file or folder its name, on disk when this returns."""
    with storage_errors(target):
        atomic_file.replace(source, target, _fail_points(target))


def _fail_points(path: Path) -> Callable[[str], None]:
    """Return what passes the fail point of each step in which `path` is written and renamed."""
    return lambda step: reach(f"{path.suffix or path.name}:{step}", disk=True)


def remove(path: Path) -> None:
    """Remove the file `path` if it is there."""
    with storage_errors(path):
        reach(f"{path.suffix or path.name}:remove", disk=True)
        path.unlink(missing_ok=True)


def folder(path: Path) -> Path:
    """`path` as a folder that only its owner enters, made with its parents where it is missing."""
    with storage_errors(path):
        missing = [parent for parent in (path, *path.parents) if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(mode=0o700, exist_ok=True)
            sync_folder(parent.parent)
    return path


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
