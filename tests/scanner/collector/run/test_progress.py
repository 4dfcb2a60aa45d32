"""Progress: a bar on a terminal, lines in a log, messages to the central server; nothing of it can fail a run."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from scanner.collector import config, terminal
from scanner.collector.delivery.client import Client
from scanner.collector.run import progress
from scanner.collector.run.progress import Progress, ProgressDisplay, ProgressReporter
from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.installation import Installation


class Terminal(io.StringIO):
    """Text that is shown on a terminal."""

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return True


def hashing() -> Progress:
    """A hash pass half done."""
    made = Progress()
    made.enter("hash")
    made.files_done, made.files_total, made.bytes_total = 5, 10, 4 << 20
    made.count_bytes_read = lambda: 2 << 20
    made.current = b"dir/name\n\x1b[2J\xff\xe2\x80\xae"
    made.phase_start = time.monotonic() - 2
    return made


def test_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar has share, bytes, files, rate, time left and the present file, and cannot be commanded by its name."""
    monkeypatch.setattr(progress, "_BAR_PAUSE", 0.01)
    monkeypatch.setenv("COLUMNS", "200")
    out = Terminal()
    with ProgressDisplay(hashing(), out, "photos"):
        time.sleep(0.1)
    shown = out.getvalue()
    first = shown.split("\r")[1]
    assert " 50 % [##########..........] 2.0 MiB of 4.0 MiB, 5 of 10 files, 1" in first and "iB/s, 2 s left" in first
    assert "dir/name\\u000a\\u001b[2J\\xff\\u202e" in first
    assert "\n" not in shown and "\x1b[2J" not in shown and shown.endswith("\r\x1b[K")


@pytest.mark.parametrize("width", [1, 10, 40, 79, 80, 120, 300])
def test_width(width: int) -> None:
    """A line is never wider than the terminal."""
    made = hashing()
    assert len(made.line(width)) <= width
    made.enter("walk")
    assert len(made.line(width)) <= width


def test_lines_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal there are whole lines, and no control characters."""
    monkeypatch.setattr(progress, "_LOG_PAUSE", 0.01)
    out = io.StringIO()
    with ProgressDisplay(hashing(), out, "photos"):
        time.sleep(0.1)
    lines = out.getvalue().splitlines()
    assert lines and all(line.startswith("photos: ") and line.isprintable() for line in lines)


def test_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that has gone ends the display, not the run."""
    monkeypatch.setattr(progress, "_BAR_PAUSE", 0.01)
    out = Terminal()
    with ProgressDisplay(hashing(), out, "photos") as display:
        out.close()
        time.sleep(0.1)
        assert not display._thread.is_alive()


def test_totals_that_are_not_kept() -> None:
    """Files that grew do not make more than all, and an empty tree is all done."""
    made = hashing()
    made.count_bytes_read = lambda: 9 << 20
    assert made.bytes_done == 4 << 20
    made.bytes_total = 0
    assert "100 %" in made.line(100)


def test_messages(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> None:
    """The central server hears how far the run is, in the members of the API."""
    monkeypatch.setattr(progress, "_REPORT_PAUSE", 0.03)
    about = {"run": "r", "replica": "p", "started_at": "t"}
    with ProgressReporter(
        hashing(), Client(central.url, config.load_config(installation.conf), central.bearer_token), about
    ) as beacon:
        time.sleep(0.3)
    assert isinstance(beacon, ProgressReporter) and beacon.failures == [] and len(central.progress) >= 2
    assert central.progress[0] == {
        **about,
        "phase": "hash",
        "files_done": 5,
        "files_total": 10,
        "bytes_done": 2 << 20,
        "bytes_total": 4 << 20,
        "current": "dir/name\n\x1b[2J\\xff\u202e",
    }


def test_messages_that_fail(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that are refused or do not arrive are counted and become fewer; the run goes on."""
    monkeypatch.setattr(progress, "_REPORT_PAUSE", 0.02)
    for url, token in ((central.url, "wrong"), ("http://127.0.0.1:9", "first")):
        with ProgressReporter(hashing(), Client(url, config.load_config(installation.conf), token), {}) as beacon:
            time.sleep(0.3)
        assert isinstance(beacon, ProgressReporter) and 1 <= len(beacon.failures) <= 6


def test_run_tells_progress(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> None:
    """During a run messages arrive with the run's own uuid."""
    monkeypatch.setattr(progress, "_REPORT_PAUSE", 0.02)
    replica = installation.enrol(central)
    installation.run()
    assert {message["run"] for message in central.progress} == {replica.chain[0].statement.run}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 40, "5.0 TiB"), (5000 << 50, "5000.0 PiB")],
)
def test_sizes(count: int, text: str) -> None:
    """Bytes in the unit that suits them."""
    assert terminal.size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.9, "59 s"), (61, "1:01"), (7384, "2:03:04")])
def test_durations(seconds: float, text: str) -> None:
    """Seconds, minutes, hours."""
    assert terminal.duration(seconds) == text


def test_printable(tmp_path: Path) -> None:
    """What is printable stays; everything else is shown by its code."""
    assert terminal.printable("café 漢字") == "café 漢字"
    assert terminal.printable("a\x07\u200b\U000e0001") == "a\\u0007\\u200b\\U000e0001"
    assert terminal.shortened("abcdefghij", 5) == "ab…ij"
