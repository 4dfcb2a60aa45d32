"""Test the configuration file: every key is read, wrong ones are named, the example is a configuration."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from scanner.collector import cli, config
from scanner.collector.errors import ConfigError


def load(directory: Path, text: str) -> config.Config:
    """Return the configuration in `text`."""
    path = directory / "collector.conf"
    path.write_text(text)
    return config.load_config(path)


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file in the default place the defaults hold."""
    monkeypatch.setattr(config, "default_path", lambda: tmp_path / "none")

    loaded = config.load_config(None)

    assert loaded.server is None
    assert loaded.roots == ()
    assert loaded.max_rate is None
    assert loaded.workers is None
    assert loaded.keep_days == 30
    assert loaded.timeout == 60
    assert loaded.patience == 600
    assert loaded.low_priority is True
    assert loaded.state == config.default_state()


def test_every_key(tmp_path: Path) -> None:
    """Each key is read with its type, and `%` is an ordinary character."""
    loaded = load(
        tmp_path,
        "[collector]\n"
        "server = https://b.example.org/sub/\n"
        "state = /s%20\n"
        "output = /o\n"
        "roots =\n"
        "  /srv\n"
        "  /data/é\n"
        "ca = /c.pem\n"
        "workers = 3\n"
        "max-rate = 1.5\n"
        "low-priority = no\n"
        "keep-days = 0\n"
        "timeout = 5\n"
        "patience = 0\n",
    )

    assert loaded.server == "https://b.example.org/sub"
    assert loaded.state == Path("/s%20")
    assert loaded.roots == (b"/srv", "/data/é".encode())
    assert loaded.max_rate == 1.5 * 2**20
    assert loaded.workers == 3
    assert loaded.keep_days == 0
    assert loaded.timeout == 5
    assert loaded.patience == 0
    assert loaded.low_priority is False


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("colour = blue", "no such key: colour"),
        ("server = backup.example.org", "server = backup.example.org: is not an address"),
        ("server = https://user:secret@host", "is not an address"),
        ("server = https://host:99999", "server"),
        ("state = relative", "state = relative: is not an absolute path"),
        ("roots = srv", "roots = srv: names srv, which is not an absolute path"),
        ("workers = many", "workers = many: is not a number"),
        ("workers = 0", "workers = 0: is not between 1 and 1024"),
        ("max-rate = -1", "max-rate = -1: is not between"),
        ("max-rate = nan", "max-rate = nan: is not between"),
        ("low-priority = perhaps", "low-priority = perhaps: is neither yes nor no"),
        ("timeout = soon", "timeout = soon: is not a number"),
        ("keep-days", "collector.conf"),
        ("keep-days = 1\nkeep-days = 2", "keep-days"),
    ],
)
def test_wrong_values(tmp_path: Path, line: str, message: str) -> None:
    """A wrong value, an unknown key and a malformed line are named in a message of one line."""
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, f"[collector]\n{line}\n")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_wrong_files(tmp_path: Path) -> None:
    """A file that is named must exist and be text with the one section."""
    with pytest.raises(ConfigError, match="there is no configuration"):
        config.load_config(tmp_path / "none")
    with pytest.raises(ConfigError, match="no such section"):
        load(tmp_path, "[central]\n")
    with pytest.raises(ConfigError, match="cannot read"):
        config.load_config(tmp_path)

    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read"):
        config.load_config(tmp_path / "binary")


def test_example_is_a_configuration(tmp_path: Path) -> None:
    """The example names every key, and can be read as it is and with every key uncommented."""
    text = config.example_text(tmp_path / "state", "https://b.example.org")
    assert load(tmp_path, text).state == tmp_path / "state"
    assert load(tmp_path, text).server == "https://b.example.org"

    for key in config.KEYS:
        assert f"{key.name} =" in text
        text = text.replace(f"# {key.name} =", f"{key.name} =")
    assert load(tmp_path, text).keep_days == 30


def test_help_names_every_key() -> None:
    """`--help` explains every key."""
    help_text = cli.build_parser().format_help()
    for key in config.KEYS:
        assert key.name in help_text
        assert key.help.split(":")[0] in help_text


def test_default_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root has system directories. Other users have those of XDG or of their home, even with an empty HOME."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert config.default_path() == Path("/etc/backup-syncer/collector.conf")
    assert config.default_state() == Path("/var/lib/backup-syncer-collector")

    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("daemon").pw_uid)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert config.default_state() == tmp_path / "backup-syncer-collector"

    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "")
    assert config.default_state().is_absolute()
