"""Durable files: whole or not there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from django.core.files import File

from scanner.ingest.storage import DurableStorage


@pytest.fixture
def storage(tmp_path: Path) -> DurableStorage:
    return DurableStorage(location=tmp_path)


class Failing:
    """Content that fails after some bytes."""

    def __init__(self, error: BaseException) -> None:
        self._pieces: list[bytes | BaseException] = [b"begun", error]

    def read(self, _: int = -1) -> bytes:
        piece = self._pieces.pop(0)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def chunks(self) -> None:
        """Django asks whether it is there."""


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_a_file_is_whole(storage: DurableStorage, tmp_path: Path) -> None:
    """A saved file can be read by its owner alone, and no other file is left."""
    assert storage.save("r/a.jsonl", File(BytesIO(b"x" * 200_000))) == "r/a.jsonl"

    with storage.open("r/a.jsonl") as file:
        assert file.read() == b"x" * 200_000
    assert stat.S_IMODE((tmp_path / "r/a.jsonl").stat().st_mode) == 0o600
    assert list(storage.names()) == files(tmp_path) == ["r/a.jsonl"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError(), KeyboardInterrupt()])
def test_a_failed_write_leaves_nothing(storage: DurableStorage, tmp_path: Path, error: BaseException) -> None:
    """No part of a file stays, whatever ends the save."""
    with pytest.raises(type(error)):
        storage.save("r/a.jsonl", Failing(error))  # type: ignore[arg-type]  # it has what `save` asks for
    assert files(tmp_path) == []


def test_deleting_what_is_gone(storage: DurableStorage) -> None:
    """A file that is not there is deleted without an error."""
    storage.save("a", File(BytesIO(b"1")))
    storage.delete("a")
    storage.delete("a")
    assert list(storage.names()) == []


def test_file_then_name_then_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are synchronised before the name is given, and both directories' names afterwards."""
    done: list[str] = []
    sync = os.fsync
    replace = os.replace

    def fsync(descriptor: int) -> None:
        done.append("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.lstrip("."))
        sync(descriptor)

    def renamed(source: str, target: str) -> None:
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renamed)
    DurableStorage(location=tmp_path).save("r/a.jsonl", File(BytesIO(b"1")))

    assert done == ["sync a.jsonl.part", "rename", "sync r", f"sync {tmp_path.name}"]


KILLED = """
import os, sys
from django.conf import settings
settings.configure()
from scanner.ingest.storage import DurableStorage
class Content:
    left = 40
    def chunks(self): pass
    def read(self, n=-1):
        self.left -= 1
        if not self.left: os.kill(os.getpid(), 9)
        return b"x" * 65536
DurableStorage(location=sys.argv[1]).save("r/a.jsonl", Content())
"""


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """A process that is killed while it writes leaves no file under the real name."""
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=60, check=False)
    assert ended.returncode == -9
    assert files(tmp_path) == ["r/.a.jsonl.part"]
