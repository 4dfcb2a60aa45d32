"""Plants one or more of each kind of change in a tree, by a seed, and writes down what must be said of each path.

The expectations come from the table of the documentation alone: nothing here knows how runs are compared.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from pathlib import Path

from tests.disk_image import BLOCK, DiskImage

DAY = 86_400 * 10**9


class Gardener:
    """A tree with its expectations; `expected` is path → kind, a path that left by a move with `-`."""

    def __init__(self, image: DiskImage, root: Path, seed: int) -> None:
        self.image = image
        self.root = root
        self.dice = random.Random(seed)
        self.expected: dict[str, str] = {}
        self.wrecked: dict[str, int] = {}
        self.earlier: dict[str, bytes] = {}
        self.damaged: dict[str, tuple[bytes, int]] = {}
        files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        contents = Counter(hashlib.sha256(path.read_bytes()).digest() for path in files)
        self.single = [path for path in files if contents[hashlib.sha256(path.read_bytes()).digest()] == 1]
        self.dice.shuffle(self.single)
        self.large = [path for path in self.single if path.stat().st_size > 3 * BLOCK]
        directories = [path for path in root.rglob("*") if path.is_dir()]
        self.directories = sorted(path for path in directories if sum(1 for _ in path.rglob("*")) in range(3, 40))
        self.dice.shuffle(self.directories)

    def name(self, path: Path) -> str:
        """The path in a report; names of this tree need no coding."""
        return path.relative_to(self.root).as_posix()

    def expect(self, path: Path, kind: str) -> None:
        """Write down what must be said."""
        assert self.name(path) not in self.expected, self.name(path)
        self.expected[self.name(path)] = kind

    def take(self, *, large: bool = False) -> Path:
        """A file that nothing else is done to, with a content that no other has."""
        pool = self.large if large else self.single
        while True:
            path = pool.pop()
            if self.name(path) in self.expected or any(directory in path.parents for directory in self.reserved):
                continue  # before it is looked at: what lies in an unreadable directory cannot be
            if path.exists() and path.stat().st_size:
                return path

    reserved: list[Path]

    def reserve(self, number: int) -> None:
        """Set directories aside to which something is done as a whole."""
        self.reserved = []
        while len(self.reserved) < number:
            directory = self.directories.pop()
            related = any(directory in other.parents or other in directory.parents for other in self.reserved)
            if not related and any(path.is_file() and path.stat().st_size for path in directory.rglob("*")):
                self.reserved.append(directory)

    # what is done before

    def prelude(self) -> None:
        """Honest edits, so that some files have an earlier version."""
        self.reserve(4)
        for _ in range(3):
            path = self.take()
            self.earlier[self.name(path)] = path.read_bytes()
            path.write_bytes(b"edited " + path.read_bytes())
            self.expect(path, "modified")

    # what is planted

    def plant(self) -> None:
        """One or more of each kind."""
        kept = self.expected
        self.expected = {}
        for name in kept:
            path = self.root / name
            path.write_bytes(self.earlier[name])
            self.expect(path, "reverted")
        self.honest()
        self.moves()
        self.types()
        self.written()
        self.beneath()

    def honest(self) -> None:
        """Edits, touches, and what comes and goes."""
        for _ in range(self.dice.randrange(1, 4)):
            path = self.take()
            path.write_bytes(path.read_bytes() + b"more")
            self.expect(path, "modified")
        path = self.take()
        path.write_bytes(b"from tomorrow")
        os.utime(path, ns=(path.stat().st_mtime_ns + DAY,) * 2)
        self.expect(path, "modified")
        path = self.take()
        before = path.stat().st_mtime_ns
        path.write_bytes(b"an older one from a backup")
        os.utime(path, ns=(before - DAY,) * 2)
        self.expect(path, "modified")
        for act in (
            os.utime,
            lambda path: path.chmod(0o600 ^ path.stat().st_mode & 0o7),
            lambda path: os.chown(path, 7, 7),
        ):
            path = self.take()
            act(path)
            self.expect(path, "touched")
        path = self.take()
        path.unlink()
        self.expect(path, "removed")
        path = self.root / "brand-new"
        path.write_bytes(self.dice.randbytes(5000))
        self.expect(path, "added")
        path = self.take()
        link = path.with_name(path.name + "~link")
        os.link(path, link)
        self.expect(link, "added")
        empty = self.root / "empty-file"
        empty.rename(self.root / "empty-moved")
        self.expect(empty, "removed")
        self.expect(self.root / "empty-moved", "added")

    def moves(self) -> None:
        """Renames: in place, to another directory, of a directory, of two files against one another."""
        for new in ("renamed-", "elsewhere/renamed-"):
            path = self.take()
            target = (path.parent if "/" not in new else self.root) / f"{new}{path.name}"
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
            self.expect(path, "-moved")
            self.expect(target, "moved")
        directory = self.reserved[0]
        target = self.root / "moved-directory"
        for path in [path for path in directory.rglob("*") if path.is_file() or path.is_symlink()]:
            moves = not path.is_symlink() and path.stat().st_size > 0
            self.expect(path, "-moved" if moves else "removed")
            self.expect(target / path.relative_to(directory), "moved" if moves else "added")
        directory.rename(target)
        first = self.take()
        second = self.take()
        times = [path.stat().st_mtime_ns for path in (first, second)]
        between = self.root / "between"
        first.rename(between)
        second.rename(first)
        between.rename(second)
        for path in (first, second):
            self.expect(path, "rewritten" if times[0] == times[1] else "modified")

    def types(self) -> None:
        """Files that became something else, and a link that leads elsewhere."""
        path = self.take()
        path.unlink()
        path.symlink_to("nowhere")
        self.expect(path, "retyped")
        path = self.take()
        path.unlink()
        os.mkfifo(path)
        self.expect(path, "retyped")
        link = self.root / "a-link"
        link.unlink()
        link.symlink_to("elsewhere")
        self.expect(link, "retyped")

    def written(self) -> None:
        """The same damage as beneath, through the file system, with the time kept."""
        for damage in ("flip", "zero", "cut"):
            path = self.take(large=True)
            before = path.stat().st_mtime_ns
            content = bytearray(path.read_bytes())
            if damage == "flip":
                content[self.dice.randrange(len(content))] ^= 1 << self.dice.randrange(8)
            elif damage == "zero":
                content[BLOCK : 2 * BLOCK] = bytes(BLOCK)
            else:
                del content[BLOCK + 1 :]
            path.write_bytes(content)
            os.utime(path, ns=(before, before))
            self.expect(path, "rewritten")

    def beneath(self) -> None:
        """Damage files as an ageing disk does: no time changes."""
        for damage in ("flip", "zero", "cut", "flip"):
            path = self.take(large=True)
            self.damaged[self.name(path)] = (path.read_bytes(), path.stat().st_mtime_ns)
            size = path.stat().st_size
            if damage == "flip":
                self.image.flip_bit(path, self.dice.randrange(size), self.dice.randrange(8))
            elif damage == "zero":
                self.image.zero_block(path, BLOCK)
            else:
                self.image.shorten(path, self.dice.randrange(BLOCK, size - 1))
            self.expect(path, "corrupted")
        for path in (self.take(), self.reserved[1]):
            below = [entry for entry in path.rglob("*") if entry.is_symlink() or not entry.is_dir()]
            self.wrecked[self.name(path)] = self.image.toggle_readable(path)
            self.expect(path, "unreadable")
            for entry in below:
                self.expect(entry, "unknown")

    # what is mended

    def mend(self, exclude: Path) -> None:
        """Make readable again what was not, restore what was damaged; and leave a directory out of the scope."""
        self.expected = {}
        for name, inode in self.wrecked.items():
            self.image.toggle_inode_readable(inode)
            self.expect(self.root / name, "readable")
        for name, (content, mtime_ns) in self.damaged.items():
            path = self.root / name
            path.write_bytes(content)
            os.utime(path, ns=(mtime_ns, mtime_ns))
            self.expect(path, "reverted")
        for path in exclude.rglob("*"):
            if path.is_symlink() or not path.is_dir():
                self.expect(path, "out_of_scope")
