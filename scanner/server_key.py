"""The central server's own key, and what it signs: its replies to collectors."""

from __future__ import annotations

import os
import secrets
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from scanner.format.atomic_file import sync_folder
from scanner.format.canonical_json import canonical_json
from scanner.format.envelope import REPLY_TYPE, seal_envelope
from scanner.format.signing import SigningKey
from scanner.format.timestamps import format_timestamp
from scanner.models import Server


def key() -> SigningKey:
    """The key in BACKUP_SYNCER_CENTRAL_KEY; made at the first call. Two first calls at once end with the same key."""
    return _load(Path(settings.BACKUP_SYNCER_CENTRAL_KEY))


@lru_cache(maxsize=4)
def _load(path: Path) -> SigningKey:
    if not path.exists():
        _create(path)
    return SigningKey(path)


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    SigningKey.create(made)
    try:
        os.link(made, path)
    except FileExistsError:
        return  # another process made it first: its key counts
    finally:
        made.unlink()
    sync_folder(path.parent)


def reply(for_: str, server: Server, **members: Any) -> bytes:
    """The signed envelope line of a reply to `server`; its payload is {"for", "server", "time", …members}."""
    payload = canonical_json(
        {"for": for_, "server": str(server.uuid), "time": format_timestamp(time.time()), **members}
    ).encode()
    own = key()
    return seal_envelope(REPLY_TYPE, payload, own.sign, own.keyid)
