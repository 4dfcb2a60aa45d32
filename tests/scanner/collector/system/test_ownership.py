"""Refuse a state directory that other users can change, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.collector.errors import UnsafeStateError
from scanner.collector.system.lock import hold_lock
from tests.scanner.collector.installation import Installation

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make directories of other users")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_directory_that_others_can_write(tmp_path: Path, mode: int) -> None:
    """Nothing is made in a directory that others can write, whatever its sticky bit says; closed, it is used."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    with pytest.raises(UnsafeStateError, match="can be written by others"), hold_lock(state):
        pass
    assert not list(state.iterdir())

    state.chmod(0o755)
    with hold_lock(state):
        assert (state / "lock").exists()


def test_a_directory_below_one_that_others_can_write(tmp_path: Path) -> None:
    """A parent that others can write is refused, made or not, unless its sticky bit protects the names in it."""
    parent = tmp_path / "parent"
    parent.mkdir()
    parent.chmod(0o777)
    with pytest.raises(UnsafeStateError, match=f"{parent} can be written"), hold_lock(parent / "a" / "state"):
        pass
    assert not list(parent.iterdir())

    parent.chmod(0o1777)
    with hold_lock(parent / "a" / "state"):
        pass


@only_root
def test_a_directory_that_a_group_can_write(tmp_path: Path) -> None:
    """A group with other members is refused. The private group of the owner has none."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o770)
    with hold_lock(state):
        pass

    os.chown(state, 0, 12345)
    state.chmod(0o770)
    with pytest.raises(UnsafeStateError, match="can be written by others"), hold_lock(state):
        pass


@only_root
def test_a_directory_of_another_user(tmp_path: Path) -> None:
    """A directory of another user is refused, and so is one to which a link leads that he made."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    os.chown(foreign, 12345, 12345)
    link = tmp_path / "link"
    link.symlink_to(foreign)
    for state in (foreign, foreign / "state", link, link / "state"):
        with pytest.raises(UnsafeStateError, match="belongs to the user 12345"), hold_lock(state):
            pass
    assert not list(foreign.iterdir())


def test_a_planted_lock(installation: Installation) -> None:
    """A link in place of the lock is not followed: its target keeps its content."""
    target = installation.directory / "precious"
    target.write_text("content")
    installation.state.mkdir(mode=0o700)
    (installation.state / "lock").symlink_to(target)

    call = installation.call("init")
    assert call.exit_code == 2
    assert call.stderr.count("\n") == 1 and "lock" in call.stderr
    assert target.read_text() == "content"
