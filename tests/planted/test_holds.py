"""Put replicas on hold and end that, or not, with real collectors and real tools."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from checker.models import Finding
from tests.planted.fleet import Fleet

pytestmark = pytest.mark.django_db(transaction=True)
OLD = 1_600_000_000


def write(path: Path, content: bytes, mtime: int | None = OLD) -> None:
    """A file with this content, and this time unless it is to be that of now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if mtime is not None:
        os.utime(path, (mtime, mtime))


def tool(*arguments: str | Path) -> None:
    """A program, or a skip where it is absent."""
    if shutil.which(str(arguments[0])) is None:
        pytest.skip(f"{arguments[0]} is not installed")
    subprocess.run([*map(str, arguments)], check=True, capture_output=True)


def make(directory: Path, files: int, trees: int = 1, **group: str) -> tuple[Fleet, list[Path]]:
    """Trees with so many logs that are alike, and that have been read once."""
    roots = [directory / f"tree{number}" for number in range(trees)]
    for root in roots:
        for number in range(files):
            write(root / f"log/{number:03}.log", b"".join(b"line %d of %d\n" % (line, number) for line in range(200)))
    fleet = Fleet(directory, roots)
    for name, value in group.items():
        setattr(fleet.group, name, value)
    if fleet.group.policy == "rotating":
        fleet.group.keep_days = 30
    fleet.group.save()
    for number in range(trees):
        fleet.run(number)
    return fleet, roots


def open_holds() -> int:
    """Return how many replicas are on hold."""
    return Finding.objects.filter(kind=Finding.Kind.MASS_CHANGE, state=Finding.State.OPEN).count()


def encrypt(path: Path, dice: random.Random, name: Path) -> None:
    """Another content, a little larger and without any pattern, under another name."""
    write(name, dice.randbytes(path.stat().st_size + 256), None)
    path.unlink()


def test_an_attack_that_is_undone(tmp_path: Path) -> None:
    """Ninety of a thousand files get an ending each. A copy of what another server has ends the hold by proof."""
    fleet, roots = make(tmp_path, 1000, trees=2)
    dice = random.Random(7)
    for number in range(90):
        path = roots[1] / f"log/{number:03}.log"
        encrypt(path, dice, path.with_name(f"{path.name}.q{dice.randrange(16**6):06x}z"))
    fleet.run(1)
    assert open_holds() == 1
    assert all(row.cells == "+-" for row in fleet.divergences().values())

    tool("rsync", "-a", "--delete", f"{roots[0]}/", f"{roots[1]}/")
    fleet.run(1)
    assert open_holds() == 0
    assert fleet.divergences() == {}
    assert not Finding.objects.filter(state=Finding.State.OPEN).exists()


def test_logs_are_packed(tmp_path: Path) -> None:
    """`gzip` of all logs removes none of them."""
    fleet, (root,) = make(tmp_path, 150)
    tool("gzip", "-r", root / "log")
    fleet.run(0)
    assert open_holds() == 0


def test_an_archive_doubles(tmp_path: Path) -> None:
    """Twice as many files are no mass change."""
    fleet, (root,) = make(tmp_path, 150)
    for number in range(150):
        write(root / f"more/{number}", b"more %d" % number, None)
    fleet.run(0)
    assert open_holds() == 0


@pytest.mark.parametrize(("policy", "expected"), [("rotating", 0), ("mutable", 1)])
def test_logs_grow(tmp_path: Path, policy: str, expected: int) -> None:
    """Logs that are appended to hold no rotating group; elsewhere most of the data changed at once."""
    fleet, (root,) = make(tmp_path, 150, policy=policy)
    for number, path in enumerate(sorted((root / "log").iterdir())):
        with path.open("ab") as log:
            log.write(b"night two\n" * (150 + number))
    fleet.run(0)
    assert open_holds() == expected


def test_encrypted_where_it_lies(tmp_path: Path) -> None:
    """A small header before each content is no growth, whatever the policy."""
    fleet, (root,) = make(tmp_path, 150, policy="rotating")
    dice = random.Random(7)
    for path in (root / "log").iterdir():
        encrypt(path, dice, path.with_name("new"))
        path.with_name("new").rename(path)
    fleet.run(0)
    assert open_holds() == 1
