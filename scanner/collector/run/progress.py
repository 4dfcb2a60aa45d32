"""Count how far a run is, display it on the terminal, and report it to the central server.

Nothing here can make a run fail.
"""

from __future__ import annotations

import shutil
import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, TextIO, Type

from scanner.collector.delivery.client import Client
from scanner.collector.errors import CollectorError
from scanner.collector.terminal import duration, printable, shortened, size
from scanner.format import paths

# Seconds between two updates.
_BAR_PAUSE = 0.25
_LOG_PAUSE = 60.0
_REPORT_PAUSE = 3.0
_LONGEST_REPORT_PAUSE = 60.0

_JOIN_SECONDS = 1.0
_LONGEST_REPORTED_PATH = 1000
_LOG_WIDTH = 300
_BAR_CELLS = 20
# Characters that must be left on the line for the present path; with fewer it is left out.
_SHORTEST_PATH = 8

_CLEAR_TO_END_OF_LINE = "\x1b[K"


class Progress:
    """Counters of one run.

    The run writes them, other threads read them. Each is one value, so no lock is needed.
    """

    def __init__(self) -> None:
        self.phase = "walk"
        self.files_done = 0
        self.files_total = 0
        self.bytes_total = 0
        self.current = b""
        """Path of the file that was begun last."""
        self.count_bytes_read: Callable[[], int] = lambda: 0
        self.phase_start = time.monotonic()

    def enter(self, phase: str) -> None:
        """Begin a phase: `walk`, `hash`, `confirm`, `write` or `send`."""
        self.phase = phase
        self.phase_start = time.monotonic()
        self.current = b""

    @property
    def bytes_done(self) -> int:
        """Bytes read so far. Files that grow do not make it exceed the total."""
        return min(self.count_bytes_read(), self.bytes_total)

    def line(self, width: int) -> str:
        """Return the progress in one line of at most `width` characters."""
        seconds = time.monotonic() - self.phase_start
        if self.phase not in ("hash", "confirm"):
            return shortened(f"{self.phase}: {self.files_done} files, {duration(seconds)}", width)

        bytes_done = self.bytes_done
        rate = 0.0
        if seconds > 0:
            rate = bytes_done / seconds

        time_left = "?"
        if rate > 0:
            time_left = duration((self.bytes_total - bytes_done) / rate)

        percent = 100  # an empty tree is done at once
        if self.bytes_total:
            percent = 100 * bytes_done // self.bytes_total

        label = "again: " if self.phase == "confirm" else ""
        text = (
            f"{label}{percent:3d} % {_bar(percent)} {size(bytes_done)} of {size(self.bytes_total)}, "
            f"{self.files_done} of {self.files_total} files, "
            f"{size(rate)}/s, {time_left} left"
        )
        path_width = width - len(text) - 2
        if path_width <= _SHORTEST_PATH:
            return shortened(text, width)
        return f"{text}  {shortened(printable(self.current), path_width)}"


def _bar(percent: int) -> str:
    full_cells = percent * _BAR_CELLS // 100
    return f"[{'#' * full_cells}{'.' * (_BAR_CELLS - full_cells)}]"


class _Ticker(ABC):
    """Context in which a thread calls `tick` again and again. `tick` returns the seconds until the next call."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> _Ticker:
        try:
            self._thread.start()
        except RuntimeError:
            # The system starts no thread. The run goes on without its progress.
            self._stop.set()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        # A tick that hangs in a request must not hold up the run, so the wait is short and the thread a daemon.
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)
        self.end()

    def _loop(self) -> None:
        pause = self.first_pause()
        while not self._stop.wait(pause):
            pause = self.tick()

    @abstractmethod
    def first_pause(self) -> float:
        """Return the seconds before the first tick."""

    @abstractmethod
    def tick(self) -> float:
        """Do the work of one tick and return the seconds until the next one."""

    def end(self) -> None:  # noqa: B027  # not abstract: most tickers have nothing to do at their end
        """Do what is due once after the last tick."""


class ProgressDisplay(_Ticker):
    """Display of the progress: a bar on a terminal, a line a minute in a log."""

    def __init__(self, progress: Progress, out: TextIO, label: str) -> None:
        super().__init__()
        self._progress = progress
        self._out = out
        self._label = label
        self._is_terminal = out.isatty()

    def first_pause(self) -> float:
        """Return the pause before the first tick, which is as long as the others."""
        return _BAR_PAUSE if self._is_terminal else _LOG_PAUSE

    def tick(self) -> float:
        """Print one line."""
        if self._is_terminal:
            # Asked each time: the window may have been resized. The last column stays free, or some terminals wrap.
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r{self._progress.line(width)}{_CLEAR_TO_END_OF_LINE}")
        else:
            self._write(f"{self._label}: {self._progress.line(_LOG_WIDTH)}\n")
        return self.first_pause()

    def end(self) -> None:
        """Remove the bar from the terminal."""
        if self._is_terminal:
            self._write(f"\r{_CLEAR_TO_END_OF_LINE}")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            self._stop.set()  # the terminal is gone


class ProgressReporter(_Ticker):
    """Reports of the progress to the central server every few seconds, and less often while they fail."""

    def __init__(self, progress: Progress, client: Client, description: Dict[str, Any]) -> None:
        """`description` are the members that name the run."""
        super().__init__()
        self._progress = progress
        self._client = client
        self._description = description
        self._pause = _REPORT_PAUSE
        self.failures: List[str] = []
        """Why reports did not arrive."""

    def first_pause(self) -> float:
        """Return a short pause, so that all but the shortest runs are visible."""
        return _REPORT_PAUSE / 3

    def tick(self) -> float:
        """Send one report."""
        progress = self._progress
        members = {
            **self._description,
            "phase": progress.phase,
            "files_done": progress.files_done,
            "files_total": progress.files_total,
            "bytes_done": progress.bytes_done,
            "bytes_total": progress.bytes_total,
            "current": paths.encode(progress.current)[:_LONGEST_REPORTED_PATH],
        }
        try:
            self._client.post_json("/progress", members)
            self._pause = _REPORT_PAUSE
        except CollectorError as error:
            self.failures.append(str(error))
            self._pause = min(self._pause * 2, _LONGEST_REPORT_PAUSE)
        return self._pause
