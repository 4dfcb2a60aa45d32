"""Make up directory trees whose files change as files do."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from datetime import datetime

from scanner.format.canonical_json import canonical_json
from scanner.format.entry_type import EntryType
from scanner.format.records import Entry, Note

NANOSECONDS = 10**9


@dataclass(frozen=True)
class DemoFile:
    """A file of a tree: `content` stands for its bytes, equal for equal files."""

    path: str
    content: str
    size: int
    modified_at: datetime

    def entry(self) -> Entry:
        """Return what a run says of this file."""
        digest_input = self.content.encode()
        return Entry(
            self.path,
            EntryType.FILE,
            size=self.size,
            mtime_ns=int(self.modified_at.timestamp()) * NANOSECONDS,
            mode=0o100644,
            uid=1000,
            gid=1000,
            sha256=hashlib.sha256(digest_input).digest(),
            md5=hashlib.md5(digest_input).digest(),
        )


class DemoTree:
    """The files below the root of one replica, and what its next run has to note."""

    def __init__(self, files: dict[str, DemoFile] | None = None) -> None:
        self.files = dict(files or {})
        self.unreadable: dict[str, str] = {}
        """Path → name of the error, for what cannot be read."""
        self._damaged_paths: set[str] = set()

    def copy(self) -> DemoTree:
        """Return a tree of equal files, as a good copy on another server would be."""
        return DemoTree(self.files)

    def add(self, path: str, size: int, modified_at: datetime) -> None:
        """Add a file, or give an existing path a new content and time."""
        self.files[path] = DemoFile(path, f"{path} of {modified_at.isoformat()}", size, modified_at)

    def remove(self, path: str) -> None:
        """Remove a file."""
        del self.files[path]

    def move(self, old_path: str, new_path: str) -> None:
        """Give a file another path; content and time stay."""
        self.files[new_path] = replace(self.files.pop(old_path), path=new_path)

    def damage(self, path: str) -> None:
        """Change a content below the file system: size, times and ctime stay as they were."""
        damaged = self.files[path]
        self.files[path] = replace(damaged, content=f"{damaged.content}, one bit flipped")
        self._damaged_paths.add(path)

    def encrypt(self, modified_at: datetime, generator: random.Random, share: float) -> None:
        """Rewrite a share of all files and rename them, as ransomware does."""
        paths = sorted(self.files)
        for path in generator.sample(paths, int(len(paths) * share)):
            original = self.files.pop(path)
            locked_path = f"{path}.locked"
            self.files[locked_path] = DemoFile(
                locked_path, f"{original.content}, encrypted", original.size + 256, modified_at
            )

    def take_records(self, previous_run: str) -> list[Entry | Note]:
        """Return the records of a run, entries before notes, each in order of path, and forget what there is to note.

        `previous_run` is the uuid of the run that this one was compared with.
        """
        entries = [file.entry() for path, file in self.files.items() if path not in self.unreadable]
        entries.extend(
            Entry(path, EntryType.ERROR, detail=error, stage="read") for path, error in self.unreadable.items()
        )
        entries.sort(key=lambda entry: entry.path)

        confirmed = canonical_json(
            {"against": previous_run, "ctime_same": True, "cold": True, "engines": ["hashlib", "native"], "reads": 3}
        )
        notes = [Note(path, "confirmed", confirmed) for path in sorted(self._damaged_paths)]
        self._damaged_paths.clear()
        return [*entries, *notes]
