"""Files that are on disk, whole, when a function returns: a temporary name, fsync, rename, fsync of the folder.

Each step is needed: without the folder's fsync a power cut loses the new name on ext4 and xfs. An fsync that failed is
not tried again, since the kernel may have dropped the pages that it could not write.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator

from scanner.collector.errors import StorageError
from scanner.collector.system.failpoint import reach

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
TEMPORARY = ".part"
"""The suffix of a name that a killed collector may leave behind."""


def write(path: Path, content: bytes) -> None:
    """Put `content`, readable by its owner alone, in the place of the file `path`."""
    with create(path) as file:
        file.write(content)


@contextmanager
def create(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the name `path` when the block ends well, and leaves nothing when it does not."""
    temporary = path.with_name(f"{path.name}{TEMPORARY}")
    with storage_errors(path):
        try:
            temporary.unlink(missing_ok=True)  # whatever has the name, perhaps planted, is not written through
            descriptor = os.open(temporary, _NEW, 0o600)
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                reach(f"{path.suffix or path.name}:written", disk=True)
                os.fsync(file.fileno())
            rename(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def rename(source: Path, target: Path) -> None:
    """Give a file or folder its name, on disk when this returns."""
    with storage_errors(target):
        reach(f"{target.suffix or target.name}:rename", disk=True)
        os.replace(source, target)
        reach(f"{target.suffix or target.name}:renamed", disk=True)
        sync_folder(target.parent)
        if source.parent != target.parent:
            sync_folder(source.parent)


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


def sync_folder(path: Path) -> None:
    """Put the names in the folder `path` on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that keeps no folder waiting says EINVAL
            raise
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
