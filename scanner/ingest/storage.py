"""Files that are on disk when `save` returns, or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage

CHUNK = 1 << 16
"""Bytes that are asked of the content at a time."""


class DurableStorage(FileSystemStorage):
    """A file system storage: written under another name, synchronised, renamed, the folder synchronised.

    Names are made by the caller and never hold anything that a client chose. What `content.read` raises ends the save
    and leaves nothing behind.
    """

    def _save(self, name: str, content: Any) -> str:
        target = Path(self.path(name))
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        try:
            _write(part, content)
            os.rename(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
        if target.parent != Path(self.location):
            sync_folder(target.parent.parent)
        return name

    def delete(self, name: str) -> None:
        """Remove the file; that it is gone already is no error."""
        super().delete(name)

    def names(self) -> Iterator[str]:
        """Every file of the storage, files that are being written now among them."""
        base = Path(self.location)
        for folder, _, files in os.walk(base):
            for file in files:
                yield str((Path(folder) / file).relative_to(base))


def _write(path: Path, content: Any) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while chunk := content.read(CHUNK):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
