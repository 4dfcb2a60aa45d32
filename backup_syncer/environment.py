"""Read and check environment variables; a wrong value is reported with the variable's name.

A secret may be given in a file instead: `NAME_FILE` names it. Each variable that was read is in `ASKED`, with its
default, so that a test can hold the documentation against it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

ASKED: dict[str, str] = {}
"""Name of each variable that was read → its default as text (empty where there is none)."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def text(name: str, default: str = "") -> str:
    """Return the variable, stripped; the default when it is unset or empty."""
    ASKED[name] = default
    return os.environ.get(name, "").strip() or default


def secret(name: str) -> str:
    """Return the variable, or the contents of the file that `NAME_FILE` names; empty when neither is set.

    Both set at once is refused: nobody could say which one counts.
    """
    direct = text(name)
    file = text(f"{name}_FILE")
    if not file:
        return direct
    if direct:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; keep one")

    try:
        value = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE: {error}") from error
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE: {file} is empty")
    return value


def whole(name: str, default: int, at_least: int = 1) -> int:
    """Return a whole number that is not below `at_least`."""
    raw = text(name, str(default))
    try:
        value = int(raw)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {raw!r} is not a whole number") from error
    if value < at_least:
        raise ImproperlyConfigured(f"{name}: {value} is less than {at_least}")
    return value


def one_of(name: str, default: str, allowed: frozenset[str]) -> str:
    """Return one of the allowed words."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}: {value!r} is none of {', '.join(sorted(allowed))}")
    return value


def words(name: str) -> list[str]:
    """Return the parts of a list separated by commas, without empty ones."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


def directory(name: str, default: Callable[[], Path]) -> Path:
    """Return an absolute path."""
    value = Path(text(name) or default())
    if not value.is_absolute():
        raise ImproperlyConfigured(f"{name}: {str(value)!r} is not an absolute path")
    return value


def time_zone(name: str, default: str) -> str:
    """Return the name of a time zone that this system knows."""
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ImproperlyConfigured(f"{name}: {value!r} is no known time zone") from error
    return value


def public_url(name: str, default: str) -> str:
    """Return the address under which people and collectors reach this server, without a trailing slash.

    Plain http is refused beyond loopback: passwords and tokens would travel readable.
    """
    value = text(name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        # urlsplit() checks the port only when it is asked for.
        _ = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {value!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.username:
        raise ImproperlyConfigured(f"{name}: {value!r} is not of the form https://host[:port]")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ImproperlyConfigured(f"{name}: plain http is only for loopback, {parts.hostname} needs https")
    return value
