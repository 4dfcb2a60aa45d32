"""The planted trees through `rclone check` and `hashdeep -a`: what is lost, mismatched and extra is the same to a path.

Theirs are pairs of trees without a history: a moved path is lost and extra to them, and so it is counted here. What
could not be read on some replica stands apart: `rclone` gives up the whole directory of a file that it cannot stat, so
it is made readable before the tools come, and left out of what is compared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest

from checker.models import Divergence
from scanner.format.entry_type import EntryType
from scanner.models import Version
from tests.planted.fleet import Fleet, Tables, grow
from tests.planted.scatter import Scatter

LINK = ".rclonelink"
"""How `rclone --links` names a link: a file that holds its target."""


class Pair(NamedTuple):
    """Paths in which two trees differ."""

    lost: set[str]
    """In the first alone."""
    extra: set[str]
    """In the second alone."""
    mismatched: set[str]

    def without(self, apart: set[str]) -> Pair:
        """Without these paths."""
        return Pair(*(paths - apart for paths in self))


def content_of(version: Version) -> tuple[object, ...]:
    """The part of a version that other tools compare too; a file's detail names a hard link only."""
    if version.type == EntryType.FILE:
        return (version.type, version.sha256)
    return (version.type, version.detail)


def ours(fleet: Fleet, first: int, second: int) -> Pair:
    """Return our comparison of two replicas of the group, by the versions that it kept."""
    rows = list(Divergence.objects.filter(comparison_id=fleet.compare().pk))
    held = Version.objects.in_bulk({version for row in rows for version in row.versions if version})
    pair = Pair(set(), set(), set())
    for row in rows:
        first_version = held.get(row.versions[first] or 0)
        second_version = held.get(row.versions[second] or 0)
        if first_version is None and second_version is None:
            continue

        if first_version is None:
            pair.extra.add(row.path)
        elif second_version is None:
            pair.lost.add(row.path)
        elif content_of(first_version) != content_of(second_version):
            pair.mismatched.add(row.path)
    return pair


def unread(fleet: Fleet) -> set[str]:
    """Return the paths that could not be read on some replica, or that are below such a directory."""
    rows = Divergence.objects.filter(comparison_id=fleet.compare().pk)
    return {row.path for row in rows if {"!", "?"} & set(row.cells)}


def rclone(first: Path, second: Path) -> Pair:
    """The same by `rclone check`. A file in the place of a link is lost under one name and extra under another."""
    command = ["rclone", "check", first, second, "--combined", "-", "--links", "--download", "--config", os.devnull]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    reported: dict[str, set[str]] = {sign: set() for sign in "=-+*"}
    for line in done.stdout.splitlines():
        reported[line[0]].add(line[2:].removesuffix(LINK))
    assert reported["="], done.stderr
    retyped = reported["+"] & reported["-"]
    return Pair(reported["+"] - retyped, reported["-"] - retyped, reported["*"] | retyped)


def hashdeep(first: Path, second: Path) -> Pair:
    """The same of regular files by `hashdeep -a`: the digests of one tree are the known ones, the other is audited."""
    listed = subprocess.run(
        ["hashdeep", "-c", "sha256", "-l", "-r", "-o", "f", "."], cwd=first, capture_output=True, check=False
    )
    known = first.parent / "known"
    known.write_bytes(listed.stdout)
    done = subprocess.run(
        ["hashdeep", "-a", "-vvv", "-k", str(known), "-l", "-r", "-o", "f", "."],
        cwd=second,
        capture_output=True,
        text=True,
        check=False,
    )
    known.unlink()
    names = {
        line.split(b",", 2)[2].decode().removeprefix("./") for line in listed.stdout.splitlines() if b",./" in line
    }
    same = set[str]()
    second_version = set[str]()
    for line in done.stdout.splitlines():
        name, _colon, verdict = line.removeprefix("./").partition(": ")
        if verdict == "Ok":
            same.add(name)
        elif verdict == "No match" or verdict.startswith("Moved from "):
            second_version.add(name)
    assert same and names, done.stderr
    return Pair(names - same - second_version, second_version - names, second_version & names)


def not_files(fleet: Fleet) -> set[str]:
    """Paths that are something else than a regular file on some replica: `hashdeep` does not see them."""
    replicas = [road.replica.pk for road in fleet.roads]
    versions = Version.objects.filter(replica__in=replicas, until_seq=None).exclude(type=EntryType.FILE)
    return set(versions.values_list("path", flat=True))


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_they_say_the_same(tmp_path: Path, small: Path) -> None:
    """Both tools agree with us on each pair of replicas, path by path."""
    for tool in ("rclone", "hashdeep"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    seen = []

    def look(fleet: Fleet, scatter: Scatter) -> None:
        apart = unread(fleet)
        strange = not_files(fleet)
        assert apart
        scatter.unwreck()
        for first, second in combinations(range(3), 2):
            roots = scatter.roots[first], scatter.roots[second]
            expected_pair = ours(fleet, first, second).without(apart)
            for theirs, outside in ((rclone(*roots), apart), (hashdeep(*roots), apart | strange)):
                reported = theirs.without(outside)
                expected = expected_pair.without(outside)
                assert expected == reported
            seen.append([len(paths) for paths in expected_pair])
        scatter.unwreck()  # twice is as before

    grow(tmp_path, small, 1000, Tables.empty(), look)
    print("lost, extra, mismatched of each pair:", seen)
    assert len(seen) == 3 and all(min(numbers) > 0 for numbers in seen)
