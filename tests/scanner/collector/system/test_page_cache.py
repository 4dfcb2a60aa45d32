"""The page cache is left as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.collector.system import cached_pages
from scanner.collector.system.cached_pages import count_cached_pages
from scanner.collector.system.page_cache import SMALL_FILE, WINDOW, PageCache

FILE_SIZE = WINDOW * 5 // 2
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def drop_from_cache(path: Path) -> None:
    """Have the kernel forget the pages of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def count_pages(path: Path) -> list[int | None]:
    """Return the number of cached pages of each window."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return [count_cached_pages(descriptor, start, WINDOW) for start in range(0, FILE_SIZE, WINDOW)]
    finally:
        os.close(descriptor)


@pytest.fixture(params=["cachestat", "mincore"])
def cold_file(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of two and a half windows that is not cached, with each of the two system calls that tell so."""
    if request.param == "mincore":
        monkeypatch.setattr(cached_pages, "_cachestat", lambda *_: None)
    path = tmp_path / "file"
    path.write_bytes(os.urandom(FILE_SIZE))

    before = count_pages(path)[0]
    drop_from_cache(path)
    after = count_pages(path)[0]
    if before is None or after:
        pytest.skip("needs Linux and a file system with a page cache of its own")
    return path


def test_cold_file_is_cold_again(cold_file: Path) -> None:
    """A file that was not cached is not cached after it was read and released, piece by piece."""
    with cold_file.open("rb", buffering=0) as file:
        cache = PageCache(file.fileno(), FILE_SIZE)
        assert cache._cold_ranges == [(0, FILE_SIZE)]

        file.read(WINDOW)
        cache.release(WINDOW - 1)
        assert count_pages(cold_file)[0] != 0
        cache.release(WINDOW)
        assert count_pages(cold_file)[0] == 0

        file.read()
        cache.release(FILE_SIZE)
    assert count_pages(cold_file) == [0, 0, 0]


def test_cached_windows_stay(cold_file: Path) -> None:
    """A window of which another reader had a page in the cache is left alone."""
    with cold_file.open("rb", buffering=0) as other_reader:
        other_reader.seek(WINDOW + PAGE_SIZE)
        other_reader.read(PAGE_SIZE)
    assert count_pages(cold_file)[1] != 0

    with cold_file.open("rb", buffering=0) as file:
        cache = PageCache(file.fileno(), FILE_SIZE)
        file.read()
        cache.release_all()
    assert [bool(count) for count in count_pages(cold_file)] == [False, True, False]


def test_small_file(tmp_path: Path) -> None:
    """Files up to a MiB are not worth the calls."""
    path = tmp_path / "small"
    path.write_bytes(bytes(SMALL_FILE))
    drop_from_cache(path)
    with path.open("rb") as file:
        assert PageCache(file.fileno(), SMALL_FILE)._cold_ranges == []


def test_unknown_cache(cold_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is dropped where the system does not tell what was cached."""
    monkeypatch.setattr(cached_pages, "count_cached_pages", lambda *_: None)
    with cold_file.open("rb", buffering=0) as file:
        cache = PageCache(file.fileno(), FILE_SIZE)
        file.read()
        cache.release_all()
    monkeypatch.undo()
    assert all(count_pages(cold_file))


def test_sparse_giant(tmp_path: Path) -> None:
    """Little is kept of a file that is larger than any disk: its windows are not counted one by one."""
    path = tmp_path / "giant"
    path.touch()
    size = 1 << 62
    try:
        os.truncate(path, size)
    except OSError:
        size = 1 << 43
        os.truncate(path, size)
    with path.open("rb", buffering=0) as file:
        file.read(PAGE_SIZE)
        cache = PageCache(file.fileno(), size)
        assert len(cache._cold_ranges) < 100
        cache.release(WINDOW * 3)
        cache.release_all()
        assert cache._cold_ranges == []


def test_many_warm_windows(cold_file: Path) -> None:
    """Ranges between cached windows are found, and each is dropped when it was read."""
    with cold_file.open("rb", buffering=0) as other_reader:
        other_reader.seek(WINDOW)
        os.posix_fadvise(other_reader.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        other_reader.read(PAGE_SIZE)
    with cold_file.open("rb", buffering=0) as file:
        cache = PageCache(file.fileno(), FILE_SIZE)
        assert cache._cold_ranges == [(2 * WINDOW, FILE_SIZE), (0, WINDOW)]
