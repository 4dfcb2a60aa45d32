"""Read the collector's one configuration file: INI, one section, a default for every key.

What is hashed is not in this file: the central server says it. The key `roots` bounds what the central server may ask
for.
"""

from __future__ import annotations

import configparser
import os
import pwd
import textwrap
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from scanner.collector.errors import ConfigError

SECTION = "collector"
MIB = 1 << 20
_HELP_WIDTH = 100
_NAME_WIDTH = 13


class Config(NamedTuple):
    """Values of the configuration file, or their defaults."""

    path: Path
    """The file, which need not exist."""
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
    """Seconds."""
    patience: float
    """Seconds."""
    no_progress: float
    """Seconds."""


class ConfigKey(NamedTuple):
    """One key of the file."""

    name: str
    parse: Callable[[str], Any]
    """Turns the text into a value. Raises ValueError that says what is wrong."""
    default: str
    help: str
    """What the key means. The part before the first colon is short enough to stay on one line."""


def parse_server_url(text: str) -> Optional[str]:
    """Return the address of a central server without its final `/`, or None for an empty text.

    Raises ValueError that says what is wrong.
    """
    if not text:
        return None

    parts = urlsplit(text)
    is_plain = not (parts.query or parts.fragment or parts.username)
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise ValueError("is not an address such as https://backup.example.org")
    if parts.port == 0:  # reading `port` raises ValueError for any other port that does not exist
        raise ValueError("has the port 0, which does not exist")
    return text.rstrip("/")


def _parse_path(text: str) -> Optional[Path]:
    if not text:
        return None

    path = Path(text)
    if not path.is_absolute():
        raise ValueError("is not an absolute path")
    return path


def _parse_roots(text: str) -> Tuple[bytes, ...]:
    """Return the roots of a text with one root a line."""
    roots = []
    for line in text.splitlines():
        root = os.fsencode(line.strip())
        if not root:
            continue
        if not root.startswith(b"/"):
            raise ValueError(f"names {os.fsdecode(root)}, which is not an absolute path")
        roots.append(root)
    return tuple(roots)


def _number_parser(kind: Callable[[str], Any], lowest: float, highest: float) -> Callable[[str], Any]:
    """Return a parser of numbers from `lowest` to `highest`. An empty text is None."""

    def parse_number(text: str) -> Any:
        if not text:
            return None
        try:
            value = kind(text)
        except ValueError:
            raise ValueError("is not a number") from None
        if not lowest <= value <= highest:
            raise ValueError(f"is not between {lowest:g} and {highest:g}")
        return value

    return parse_number


def _parse_yes_or_no(text: str) -> bool:
    try:
        return configparser.ConfigParser.BOOLEAN_STATES[text.lower()]
    except KeyError as error:
        raise ValueError("is neither yes nor no") from error


KEYS = (
    ConfigKey(
        "server",
        parse_server_url,
        "",
        "address of the central server: without it, the address of the enrolment",
    ),
    ConfigKey(
        "state",
        _parse_path,
        "",
        "directory for key, enrolment, queue and state: an absolute path; only the collector's user may enter it",
    ),
    ConfigKey(
        "output",
        _parse_path,
        "",
        "directory for the report files of `run --local`: an absolute path",
    ),
    ConfigKey(
        "roots",
        _parse_roots,
        "",
        "roots that may be read, one a line: nothing outside of them is ever read, whoever asks for it; "
        "without it, every root may be read",
    ),
    ConfigKey(
        "ca",
        _parse_path,
        "",
        "PEM file with the certificates to trust: an absolute path; without it, the system's certificates are trusted",
    ),
    ConfigKey(
        "workers",
        _number_parser(int, 1, 1024),
        "",
        "number of processes that hash, 1 to 1024: without it, the number of physical cores that this process may use",
    ),
    ConfigKey(
        "max-rate",
        _number_parser(float, 0.001, 1e6),
        "",
        "most to read, in MiB a second: the sum over all processes; without it, unlimited",
    ),
    ConfigKey(
        "low-priority",
        _parse_yes_or_no,
        "yes",
        "run with a low CPU and disk priority: yes or no",
    ),
    ConfigKey(
        "keep-days",
        _number_parser(int, 0, 36500),
        "30",
        "days for which delivered reports are kept: 0 to 36500",
    ),
    ConfigKey(
        "timeout",
        _number_parser(float, 1, 3600),
        "60",
        "seconds without an answer after which a connection is given up: 1 to 3600",
    ),
    ConfigKey(
        "patience",
        _number_parser(float, 0, 86400),
        "600",
        "seconds for which a failed delivery is retried within one run: 0 to 86400",
    ),
    ConfigKey(
        "no-progress",
        _number_parser(float, 1, 86400),
        "600",
        "seconds without progress after which a file or directory is given up: 1 to 86400",
    ),
)


def _home_directory() -> Path:
    """Return the user's home. Raise ConfigError for a user who has none, as in many containers."""
    home = os.environ.get("HOME")
    if not home:
        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            raise ConfigError(
                f"the user with the number {os.geteuid()} has no home directory: set HOME, or name a file with "
                "--config and in it the directory `state`"
            ) from None
    return Path(home)


def _xdg_directory(variable: str, default: str) -> Path:
    """Return a directory of the XDG base directory specification, which ignores relative paths."""
    value = os.environ.get(variable, "")
    if value.startswith("/"):
        return Path(value)
    return _home_directory() / default


def default_path() -> Path:
    """Return where the configuration file is expected when none is named: root's place, or the user's own."""
    if os.geteuid() == 0:
        return Path("/etc/backup-syncer/collector.conf")
    return _xdg_directory("XDG_CONFIG_HOME", ".config") / "backup-syncer/collector.conf"


def describe_default_path() -> str:
    """Return the default place of the configuration file for `--help`."""
    return _describe(default_path)


def _describe(find_default: Callable[[], Path]) -> str:
    try:
        return str(find_default())
    except ConfigError:
        return "none: this user has no home directory"


def default_state() -> Path:
    """Return the state directory when none is configured."""
    if os.geteuid() == 0:
        return Path("/var/lib/backup-syncer-collector")
    return _xdg_directory("XDG_STATE_HOME", ".local/state") / "backup-syncer-collector"


def load_config(path: Optional[Path]) -> Config:
    """Return the configuration in `path`, or in the default place, where a missing file means the defaults.

    Raises ConfigError that names the file and the key that is unknown or wrong.
    """
    file = path or default_path()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        if path is not None:
            raise ConfigError(f"there is no configuration file {file}; `init` writes one") from error
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration file {file}: {error}") from error
    return _parse_config(file, _read_texts(file, text))


def _read_texts(file: Path, content: str) -> Dict[str, str]:
    """Return the text of each key in the content of `file`."""
    # No interpolation: `%` is an ordinary character of a path. No default section: its keys would reach all sections.
    parser = configparser.ConfigParser(interpolation=None, default_section="", delimiters=("=",))
    try:
        parser.read_string(content, str(file))
    except configparser.Error as error:
        raise ConfigError(" ".join(str(error).split())) from error

    known_names = {key.name for key in KEYS}
    texts = {}
    for section in parser.sections():
        if section != SECTION:
            raise ConfigError(f"{file}: there is no such section: [{section}]; the only one is [{SECTION}]")
        for name, text in parser.items(section):
            if name not in known_names:
                raise ConfigError(f"{file}: there is no such key: {name}; `--help` lists the keys")
            texts[name] = text.strip()
    return texts


def _parse_config(file: Path, texts: Dict[str, str]) -> Config:
    values: Dict[str, Any] = {}
    for key in KEYS:
        text = texts.get(key.name) or key.default
        try:
            values[key.name.replace("-", "_")] = key.parse(text)
        except ValueError as error:
            raise ConfigError(f"{file}: {key.name} = {text}: {error}") from error

    if values["state"] is None:
        values["state"] = default_state()
    if values["max_rate"] is not None:
        values["max_rate"] *= MIB
    return Config(path=file, **values)


def example_text(state: Path, server: Optional[str] = None) -> str:
    """Return the text of a configuration file that explains every key. Keys without a value are commented out."""
    values = {"state": str(state), "server": server or ""}
    lines = ["# Configuration of the backup-syncer collector.", f"[{SECTION}]", ""]
    for key in KEYS:
        lines.extend(f"# {line}" for line in textwrap.wrap(key.help, _HELP_WIDTH))
        value = values.get(key.name)
        if value:
            lines.append(f"{key.name} = {value}")
        else:
            lines.append(f"# {key.name} = {key.default}".rstrip())
        lines.append("")
    return "\n".join(lines)


def describe_keys() -> str:
    """Return name, meaning and default of every key, for `--help`."""
    paragraphs = []
    for key in KEYS:
        default = key.default
        if key.name == "state":  # it depends on the user, so that the key itself has none
            default = _describe(default_state)
        meaning = key.help
        if default:
            meaning += f" (default: {default})"
        paragraphs.append(
            textwrap.fill(
                meaning,
                _HELP_WIDTH,
                initial_indent=f"  {key.name:<{_NAME_WIDTH}} ",
                subsequent_indent=" " * (_NAME_WIDTH + 3),
                break_on_hyphens=False,
            )
        )
    return "\n".join(paragraphs)
