"""The collector's one configuration file: INI, one section, each key with a default.

What is hashed is not in it: that comes from the central server. `roots` bounds what the central server may ask for.
"""

from __future__ import annotations

import configparser
import os
import pwd
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from scanner.collector.errors import ConfigError

SECTION = "collector"
MIB = 1 << 20


class Config(NamedTuple):
    """What the file says, or the defaults."""

    path: Path
    server: Optional[str]
    state: Path
    output: Optional[Path]
    roots: Tuple[bytes, ...]
    ca: Optional[Path]
    workers: Optional[int]
    max_rate: Optional[float]
    """Bytes a second."""
    low_priority: bool
    keep_days: int
    timeout: float
    patience: float


class ConfigKey(NamedTuple):
    """One key of the file: how its text is read, what holds without it, and what it means."""

    name: str
    read: Callable[[str], Any]
    default: str
    help: str


def _text(text: str) -> Optional[str]:
    return text or None


def parse_server_url(text: str) -> Optional[str]:
    """The address of a central server without its final `/`, None for an empty text; ValueError says what is wrong."""
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("is no address like https://backup.example.org")
    if parts.port == 0:  # reading it raises ValueError for what is no port
        raise ValueError("has no port 0")
    return text.rstrip("/")


def _path(text: str) -> Optional[Path]:
    if not text:
        return None
    path = Path(text)
    if not path.is_absolute():
        raise ValueError("is no absolute path")
    return path


def _roots(text: str) -> Tuple[bytes, ...]:
    roots = tuple(os.fsencode(line.strip()) for line in text.splitlines() if line.strip())
    for root in roots:
        if not root.startswith(b"/"):
            raise ValueError(f"names {os.fsdecode(root)}, which is no absolute path")
    return roots


def _number(kind: Callable[[str], Any], least: float, most: float) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if not text:
            return None
        value = kind(text)
        if not least <= value <= most:
            raise ValueError(f"is not within {least:g} and {most:g}")
        return value

    return read


def _yes(text: str) -> bool:
    try:
        return configparser.ConfigParser.BOOLEAN_STATES[text.lower()]
    except KeyError as error:
        raise ValueError("is neither yes nor no") from error


def _home() -> Path:
    return Path(os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir)


def _xdg(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else _home() / default


def default_path() -> Path:
    """Where the file is looked for when none is named: root's, or the present user's own."""
    if os.geteuid() == 0:
        return Path("/etc/backup-syncer/collector.conf")
    return _xdg("XDG_CONFIG_HOME", ".config") / "backup-syncer/collector.conf"


def default_state() -> Path:
    """The state folder when none is configured."""
    if os.geteuid() == 0:
        return Path("/var/lib/backup-syncer-collector")
    return _xdg("XDG_STATE_HOME", ".local/state") / "backup-syncer-collector"


KEYS = (
    ConfigKey("server", parse_server_url, "", "address of the central server; as enrolled when empty"),
    ConfigKey("state", _path, "", "folder of key, enrolment, spool and state; only this user may enter it"),
    ConfigKey("output", _path, "", "folder for the report files of run --local"),
    ConfigKey(
        "roots",
        _roots,
        "",
        "allowed roots, one a line: what lies outside is never read, whoever asks for it; empty allows any",
    ),
    ConfigKey("ca", _path, "", "file with the certificates to trust instead of the system's, PEM"),
    ConfigKey("workers", _number(int, 1, 1024), "", "processes that hash; the usable cores when empty"),
    ConfigKey("max-rate", _number(float, 0.001, 1e6), "", "most to read, in MiB a second; unlimited when empty"),
    ConfigKey("low-priority", _yes, "yes", "run with a low CPU and disk priority"),
    ConfigKey("keep-days", _number(int, 0, 36500), "30", "days for which delivered reports are kept"),
    ConfigKey(
        "timeout", _number(float, 1, 3600), "60", "seconds without an answer after which a connection is given up"
    ),
    ConfigKey(
        "patience", _number(float, 0, 86400), "600", "seconds for which a failed delivery is tried again in one run"
    ),
)


def load_config(path: Optional[Path]) -> Config:
    """The configuration in `path`, or in the default place, where a missing file means the defaults.

    ConfigError names the file and the key that is unknown or wrong.
    """
    place = path or default_path()
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if path is not None:
            raise ConfigError(f"there is no configuration {place}") from error
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {place}: {error}") from error
    return _config(place, dict(_values(place, text)))


def _values(place: Path, text: str) -> Iterator[Tuple[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="", delimiters=("=",))
    try:
        parser.read_string(text, str(place))
    except configparser.Error as error:
        raise ConfigError(" ".join(str(error).split())) from error
    known = {key.name for key in KEYS}
    for section in parser.sections():
        if section != SECTION:
            raise ConfigError(f"{place}: no such section: [{section}]; there is only [{SECTION}]")
        for name, value in parser.items(section):
            if name not in known:
                raise ConfigError(f"{place}: no such key: {name}")
            yield name, value.strip()


def _config(place: Path, given: Dict[str, str]) -> Config:
    values: Dict[str, Any] = {}
    for key in KEYS:
        text = given.get(key.name) or key.default
        try:
            values[key.name.replace("-", "_")] = key.read(text)
        except ValueError as error:
            raise ConfigError(f"{place}: {key.name} = {text}: {_reason(error)}") from error
    values["state"] = values["state"] or default_state()
    values["max_rate"] = values["max_rate"] and values["max_rate"] * MIB
    return Config(path=place, **values)


def _reason(error: ValueError) -> str:
    text = str(error)
    return "is no number" if "invalid literal" in text or "could not convert" in text else text


def example_text(state: Path, server: Optional[str] = None) -> str:
    """A configuration file with every key explained; those that have no value are commented out."""
    lines = ["# Configuration of the backup-syncer collector.", f"[{SECTION}]", ""]
    for key in KEYS:
        value = {"state": str(state), "server": server or ""}.get(key.name, "")
        lines.append(f"# {key.help}")
        lines.append(f"{key.name} = {value}" if value else f"# {key.name} = {key.default}".rstrip())
        lines.append("")
    return "\n".join(lines)


def describe_keys() -> str:
    """Every key with its meaning and default, one a line, for `--help`."""
    return "\n".join(
        f"  {key.name:<13} {key.help}" + (f" (default: {key.default})" if key.default else "") for key in KEYS
    )
