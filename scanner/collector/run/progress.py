"""How far a run is: counted in one place, shown on the terminal, told to the central server. Nothing here can fail a
run."""

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

_BAR_SECONDS, _LINE_SECONDS, _BEACON_SECONDS, _BEACON_LONGEST = 0.25, 60.0, 3.0, 60.0
_CURRENT = 1000
"""Characters of the present path that are told to the central server."""


class Progress:
    """The counters of one run. The run writes them, other threads read them; each is one value, so no lock is
    needed."""

    def __init__(self) -> None:
        self.phase = "walk"
        self.files_done = self.files_total = self.bytes_total = 0
        self.current = b""
        self.bytes_read: Callable[[], int] = lambda: 0
        self.since = time.monotonic()

    def enter(self, phase: str) -> None:
        """Begin a phase: walk, hash, confirm, write or send."""
        self.phase, self.since, self.current = phase, time.monotonic(), b""

    @property
    def bytes_done(self) -> int:
        """The bytes read so far, never more than there are."""
        return min(self.bytes_read(), self.bytes_total)

    def line(self, width: int) -> str:
        """The state of things in one line of at most `width` characters."""
        seconds = time.monotonic() - self.since
        if self.phase not in ("hash", "confirm"):
            return shortened(f"{self.phase}: {self.files_done} files, {duration(seconds)}", width)
        done, total = self.bytes_done, self.bytes_total
        rate = done / seconds if seconds > 0 else 0.0
        left = duration((total - done) / rate) if rate > 0 else "?"
        share = 100 * done // total if total else 100
        again = "again: " if self.phase == "confirm" else ""
        text = (
            f"{again}{share:3d} % {_bar(share)} {size(done)} of {size(total)}, "
            f"{self.files_done} of {self.files_total} files, "
            f"{size(rate)}/s, {left} left"
        )
        room = width - len(text) - 2
        return f"{text}  {shortened(printable(self.current), room)}" if room > 8 else shortened(text, width)


def _bar(share: int) -> str:
    full = share // 5
    return f"[{'#' * full}{'.' * (20 - full)}]"


class _Ticker(ABC):
    """A thread that calls `tick` again and again until the block ends. `tick` returns the seconds to wait."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> _Ticker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._stop.set()
        self._thread.join(1.0)
        self.end()

    def _loop(self) -> None:
        pause = self.pause()
        while not self._stop.wait(pause):
            pause = self.tick()

    @abstractmethod
    def pause(self) -> float:
        """The seconds before the first tick."""

    @abstractmethod
    def tick(self) -> float:
        """Do what is due; the seconds until the next time."""

    def end(self) -> None:  # noqa: B027  # a ticker may have nothing to do at its end
        """What is to be done once after the last tick."""


class ProgressDisplay(_Ticker):
    """A bar on a terminal; a line a minute in a log."""

    def __init__(self, progress: Progress, out: TextIO, label: str) -> None:
        super().__init__()
        self._progress, self._out, self._label = progress, out, label
        self._terminal = out.isatty()

    def pause(self) -> float:
        """Soon on a terminal, later in a log."""
        return _BAR_SECONDS if self._terminal else _LINE_SECONDS

    def tick(self) -> float:
        """Show one line."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r{self._progress.line(width)}\x1b[K")
        else:
            self._write(f"{self._label}: {self._progress.line(300)}\n")
        return self.pause()

    def end(self) -> None:
        """Clear the bar."""
        if self._terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            self._stop.set()  # nobody reads any more


class ProgressReporter(_Ticker):
    """Tells the central server every few seconds, more seldom while that fails. `failures` counts what was not told."""

    def __init__(self, progress: Progress, client: Client, about: Dict[str, Any]) -> None:
        super().__init__()
        self._progress, self._client, self._about = progress, client, about
        self._pause = _BEACON_SECONDS
        self.failures: List[str] = []

    def pause(self) -> float:
        """A short run tells nothing."""
        return _BEACON_SECONDS / 3

    def tick(self) -> float:
        """Tell how far the run is."""
        progress = self._progress
        try:
            self._client.post_json(
                "/progress",
                {
                    **self._about,
                    "phase": progress.phase,
                    "files_done": progress.files_done,
                    "files_total": progress.files_total,
                    "bytes_done": progress.bytes_done,
                    "bytes_total": progress.bytes_total,
                    "current": paths.encode(progress.current)[:_CURRENT],
                },
            )
            self._pause = _BEACON_SECONDS
        except CollectorError as error:
            self.failures.append(str(error))
            self._pause = min(self._pause * 2, _BEACON_LONGEST)
        return self._pause
