"""The collector disturbs others little: priority, rate and page cache."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.collector.system import cached_pages as page_cache
from scanner.collector.system.cached_pages import cached_pages
from scanner.collector.system.page_cache import CARE, WINDOW, PageCache, RateLimit

ROOT = Path(__file__).parents[4]
PAGE = os.sysconf("SC_PAGE_SIZE")


def drop(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


@pytest.fixture(params=["cachestat", "mincore"])
def file(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of two and a half windows that the kernel lets go of, by either way to ask for its pages."""
    if request.param == "mincore":
        monkeypatch.setattr(page_cache, "_cachestat", lambda *_: None)
    path = tmp_path / "file"
    path.write_bytes(os.urandom(WINDOW * 5 // 2))
    descriptor = os.open(path, os.O_RDONLY)
    told = cached_pages(descriptor, 0, WINDOW)
    drop(path)
    kept = cached_pages(descriptor, 0, WINDOW)
    os.close(descriptor)
    if told is None or kept:
        pytest.skip("needs Linux and a file system with a page cache of its own")
    return path


def pages(path: Path) -> list[int | None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return [cached_pages(descriptor, start, WINDOW) for start in range(0, WINDOW * 5 // 2, WINDOW)]
    finally:
        os.close(descriptor)


def test_gentle() -> None:
    """The process is nice, at the lowest best-effort I/O priority, and its children are as well."""
    script = "from scanner.collector.system.page_cache import be_gentle; import subprocess, sys\n"
    script += "print(be_gentle(), be_gentle()); sys.stdout.flush()\n"
    script += "subprocess.run(['nice']); subprocess.run(['ionice'])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    told, nice, *ionice = done.stdout.splitlines()
    assert told.startswith("['nice 10'")
    assert nice == "10"
    if sys.platform == "linux":
        assert "ionice best-effort 7" in told
        assert ionice == ["best-effort: prio 7"]


def test_rate_limit_alone() -> None:
    """Each booking pushes the next one back by what it takes; nothing is saved up."""
    limit = RateLimit(1000.0)
    assert limit.reserve(500) == 0.0
    assert limit.reserve(250) == pytest.approx(0.5, abs=0.1)
    assert limit.reserve(1) == pytest.approx(0.75, abs=0.1)
    limit.close()


def test_rate_limit_over_processes() -> None:
    """Processes that share a limit share one rate."""
    limit = RateLimit(1 << 20)
    script = "import sys; from scanner.collector.system.page_cache import RateLimit\n"
    script += "limit = RateLimit(1 << 20, int(sys.argv[1]))\nfor _ in range(8): limit.wait(1 << 16)"
    command = [sys.executable, "-c", script, str(limit.fileno())]
    started = time.monotonic()
    both = [subprocess.Popen(command, pass_fds=[limit.fileno()], cwd=ROOT) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    assert 0.9 <= time.monotonic() - started < 5
    limit.close()


def test_rate_limit_says_it_is_alive() -> None:
    """Who waits for long says so on the way."""
    limit = RateLimit(1000.0)
    calls = []
    limit.wait(1200, lambda: calls.append(time.monotonic()))
    limit.wait(1, lambda: calls.append(time.monotonic()))
    assert len(calls) >= 2
    limit.close()


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_rate_must_be_one(rate: float) -> None:
    """A limit of nothing would wait for ever, and is refused."""
    with pytest.raises(ValueError, match="more than 0"):
        RateLimit(rate)


def test_cold_file_is_cold_again(file: Path) -> None:
    """A file that was not cached is not cached after it was read and released, piece by piece."""
    with file.open("rb", buffering=0) as reading:
        cache = PageCache(reading.fileno(), WINDOW * 5 // 2)
        assert cache.was_cold
        reading.read(WINDOW)
        cache.release(WINDOW - 1)
        assert pages(file)[0] != 0
        cache.release(WINDOW)
        assert pages(file)[0] == 0
        reading.read()
        cache.release(WINDOW * 5 // 2)
    assert pages(file) == [0, 0, 0]


def test_cached_windows_stay(file: Path) -> None:
    """A window of which another had a page in the cache is left alone."""
    with file.open("rb", buffering=0) as other:
        other.seek(WINDOW + PAGE)
        other.read(PAGE)
    assert pages(file)[1] != 0
    with file.open("rb", buffering=0) as reading:
        cache = PageCache(reading.fileno(), WINDOW * 5 // 2)
        reading.read()
        cache.release_all()
    assert [bool(count) for count in pages(file)] == [False, True, False]


def test_small_files_are_not_asked_about(tmp_path: Path) -> None:
    """Files up to a MiB are not worth the calls."""
    path = tmp_path / "small"
    path.write_bytes(bytes(CARE))
    drop(path)
    with path.open("rb") as reading:
        assert not PageCache(reading.fileno(), CARE).was_cold


def test_nothing_known_nothing_dropped(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell what was cached, what was read stays."""
    monkeypatch.setattr(page_cache, "cached_pages", lambda *_: None)
    with file.open("rb", buffering=0) as reading:
        cache = PageCache(reading.fileno(), WINDOW * 5 // 2)
        reading.read()
        cache.release_all()
    monkeypatch.undo()
    assert all(pages(file))
