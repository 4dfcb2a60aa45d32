"""Keep the central server's own key, and sign its replies to collectors."""

from __future__ import annotations

import os
import secrets
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from scanner.format.atomic_file import sync_directory
from scanner.format.canonical_json import canonical_json
from scanner.format.envelope import REPLY_TYPE, seal_envelope
from scanner.format.signing import SigningKey
from scanner.format.timestamps import format_timestamp
from scanner.models import Server


def load_key() -> SigningKey:
    """Return the key in BACKUP_SYNCER_CENTRAL_KEY. Create it at the first call."""
    return _load(Path(settings.BACKUP_SYNCER_CENTRAL_KEY))


@lru_cache(maxsize=4)
def _load(path: Path) -> SigningKey:
    if not path.exists():
        _create(path)
    return SigningKey(path)


def _create(path: Path) -> None:
    """Create a key under another name and link it: of two processes that do so at once, both use the first key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    SigningKey.create(temporary)
    try:
        os.link(temporary, path)  # unlike a rename, it replaces nothing
    except FileExistsError:
        return
    finally:
        temporary.unlink()

    # Collectors know this key. Were its name lost in a power cut, the next start would make another one.
    sync_directory(path.parent)


def sign_reply(purpose: str, server: Server, **members: Any) -> bytes:
    """Return the signed envelope line of a reply to `server`. Its payload is {"for", "server", "time", …members}."""
    # Purpose and server are signed as well: no reply passes for another one, or for one to another server.
    payload = {"for": purpose, "server": str(server.uuid), "time": format_timestamp(time.time()), **members}
    key = load_key()
    return seal_envelope(REPLY_TYPE, canonical_json(payload).encode(), key.sign, key.keyid)
