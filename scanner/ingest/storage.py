"""Store files that are on disk when `save` returns, or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage

from scanner.format.atomic_file import open_atomic, sync_directory

CHUNK_BYTES = 1 << 16
"""Bytes that are read from the content at a time."""


class DurableStorage(FileSystemStorage):
    """A file system storage whose files are written under another name, synchronised and renamed.

    The caller makes the names, and they never hold anything that a client chose. An exception of `content.read` ends
    the save and leaves nothing behind.
    """

    def _save(self, name: str, content: Any) -> str:
        target = Path(self.path(name))
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

        with open_atomic(target) as file:
            while chunk := content.read(CHUNK_BYTES):
                file.write(chunk)

        # The directory may be new: its own name must be on disk, too.
        if target.parent != Path(self.location):
            sync_directory(target.parent.parent)
        return name

    def delete(self, name: str) -> None:
        """Remove the file. It is no error when there is none."""
        super().delete(name)

    def names(self) -> Iterator[str]:
        """Yield the name of every file, also of those that are being written."""
        base = Path(self.location)
        for directory, _directories, files in os.walk(base):
            for file in files:
                yield str((Path(directory) / file).relative_to(base))
