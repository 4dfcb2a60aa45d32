"""Test progress: a bar on a terminal, lines in a log, reports to the central server. None of it can fail a run."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from scanner.collector import terminal
from scanner.collector.delivery.client import Client
from scanner.collector.run import progress
from scanner.collector.run.progress import Progress, ProgressDisplay, ProgressReporter
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation


class Terminal(io.StringIO):
    """Text that is shown on a terminal."""

    def isatty(self) -> bool:
        """Return that this is a terminal."""
        return True


def half_done() -> Progress:
    """Return the progress of a hash pass that is half done."""
    half = Progress()
    half.enter("hash")
    half.files_done = 5
    half.files_total = 10
    half.bytes_total = 4 << 20
    half.count_bytes_read = lambda: 2 << 20
    half.current = b"dir/name\n\x1b[2J\xff\xe2\x80\xae"
    half.phase_start = time.monotonic() - 2
    return half


def test_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar shows share, bytes, files, rate, time left and path, and the path cannot command the terminal."""
    monkeypatch.setattr(progress, "_BAR_PAUSE", 0.01)
    monkeypatch.setenv("COLUMNS", "200")
    out = Terminal()
    with ProgressDisplay(half_done(), out, "photos"):
        time.sleep(0.1)

    output = out.getvalue()
    first_line = output.split("\r")[1]
    assert " 50 % [##########..........] 2.0 MiB of 4.0 MiB, 5 of 10 files, 1" in first_line
    assert "iB/s, 2 s left" in first_line
    assert "dir/name\\u000a\\u001b[2J\\xff\\u202e" in first_line
    assert "\n" not in output
    assert "\x1b[2J" not in output
    assert output.endswith("\r\x1b[K")


@pytest.mark.parametrize("width", [1, 10, 40, 79, 80, 120, 300])
def test_width(width: int) -> None:
    """A line is never wider than the terminal."""
    half = half_done()
    assert len(half.line(width)) <= width
    half.enter("walk")
    assert len(half.line(width)) <= width


def test_lines_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal there are whole lines, and no control characters."""
    monkeypatch.setattr(progress, "_LOG_PAUSE", 0.01)
    out = io.StringIO()
    with ProgressDisplay(half_done(), out, "photos"):
        time.sleep(0.1)

    lines = out.getvalue().splitlines()
    assert lines
    assert all(line.startswith("photos: ") and line.isprintable() for line in lines)


def test_closed_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that is closed ends the display, not the run."""
    monkeypatch.setattr(progress, "_BAR_PAUSE", 0.01)
    out = Terminal()
    with ProgressDisplay(half_done(), out, "photos") as display:
        out.close()
        time.sleep(0.1)
        assert not display._thread.is_alive()


def test_wrong_totals() -> None:
    """Files that grew do not make more than 100 %, and an empty tree is done."""
    half = half_done()
    half.count_bytes_read = lambda: 9 << 20
    assert half.bytes_done == 4 << 20
    half.bytes_total = 0
    assert "100 %" in half.line(100)


def test_reports(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> None:
    """The central server gets the progress, in the members of the API."""
    monkeypatch.setattr(progress, "_REPORT_PAUSE", 0.03)
    description = {"run": "r", "replica": "p", "started_at": "t"}
    client = Client(central.url, installation.load_config(), central.bearer_token)
    with ProgressReporter(half_done(), client, description) as reporter:
        time.sleep(0.3)

    assert isinstance(reporter, ProgressReporter)
    assert reporter.failures == []
    assert len(central.progress) >= 2
    assert central.progress[0] == {
        **description,
        "phase": "hash",
        "files_done": 5,
        "files_total": 10,
        "bytes_done": 2 << 20,
        "bytes_total": 4 << 20,
        "current": "dir/name\n\x1b[2J\\xff\u202e",
    }


def test_failing_reports(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports that are refused or do not arrive are counted and become fewer, and the run goes on."""
    monkeypatch.setattr(progress, "_REPORT_PAUSE", 0.02)
    for url, token in ((central.url, "wrong"), ("http://127.0.0.1:9", "first")):
        client = Client(url, installation.load_config(), token)
        with ProgressReporter(half_done(), client, {}) as reporter:
            time.sleep(0.3)
        assert isinstance(reporter, ProgressReporter)
        assert 1 <= len(reporter.failures) <= 6


def test_reports_of_a_run(
    installation: Installation, central: FakeCentral, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During a run, reports arrive with the uuid of the run."""
    monkeypatch.setattr(progress, "_REPORT_PAUSE", 0.02)
    installation.run()
    assert {report["run"] for report in central.progress} == {replica.chain[0].statement.run}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 40, "5.0 TiB"), (5000 << 50, "5000.0 PiB")],
)
def test_sizes(count: int, text: str) -> None:
    """Bytes are shown in a readable unit."""
    assert terminal.size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.9, "59 s"), (61, "1:01"), (7384, "2:03:04")])
def test_durations(seconds: float, text: str) -> None:
    """Durations are shown as seconds, minutes or hours."""
    assert terminal.duration(seconds) == text


def test_printable(tmp_path: Path) -> None:
    """Printable characters stay, all others are shown by their codes."""
    assert terminal.printable("café 漢字") == "café 漢字"
    assert terminal.printable("a\x07\u200b\U000e0001") == "a\\u0007\\u200b\\U000e0001"
    assert terminal.shortened("abcdefghij", 5) == "ab…ij"
