"""Who this collector is: its private key, the server it speaks for, and the central server it trusts.

All but the key stands in one file, which is replaced as a whole: a switch to another key or enrolment is one rename.
"""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any, NamedTuple, Optional

from scanner.collector.errors import IdentityError
from scanner.collector.system import durable
from scanner.format.errors import SigningError
from scanner.format.signing import SigningKey

FILE_NAME = "identity.json"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class Identity(NamedTuple):
    """What `identity.json` holds. The last four are null until the collector is enrolled."""

    server: str
    key: str
    """The name of the key's file in the state folder."""
    name: Optional[str] = None
    """How the central server calls this server."""
    url: Optional[str] = None
    central: Optional[str] = None
    """The central server's public key, hex."""
    token: Optional[str] = None
    """The bearer token, which lets the collector in; evidence rests on the key alone."""

    @property
    def enrolled(self) -> bool:
        """Whether there is a central server to speak to."""
        return self.central is not None and self.token is not None


def read_identity(state: Path) -> Optional[Identity]:
    """The identity in the state folder, None when there is none yet; IdentityError when it cannot be read."""
    path = state / FILE_NAME
    try:
        members = json.loads(path.read_text(encoding="utf-8"))
        identity = Identity(**members)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise IdentityError(f"cannot read {path}: {error}; enrol anew in another state folder") from error
    _check(path, identity)
    return identity


def _check(path: Path, identity: Identity) -> None:
    values: list[Any] = [value for value in identity if value is not None]
    well = all(isinstance(value, str) for value in values) and _UUID.match(identity.server) and "/" not in identity.key
    if not well or (identity.central is not None and not re.match(r"[0-9a-f]{64}\Z", identity.central)):
        raise IdentityError(f"{path} does not hold an identity; enrol anew in another state folder")


def write_identity(state: Path, identity: Identity) -> None:
    """Make `identity` the one of the state folder."""
    durable.write(state / FILE_NAME, json.dumps(identity._asdict(), indent=1).encode() + b"\n")


def load_key(state: Path, name: str) -> SigningKey:
    """The private key in the file `name`; IdentityError when it is missing, readable by others or no key."""
    try:
        return SigningKey(state / name)
    except SigningError as error:
        raise IdentityError(str(error)) from error


def make_key(state: Path, name: str) -> SigningKey:
    """A new private key in the file `name`, or the one that a make which did not end left there."""
    path = state / name
    if path.exists():
        return load_key(state, name)
    partial = path.with_name(name + durable.TEMPORARY)
    durable.remove(partial)
    try:
        SigningKey.create(partial)
    except SigningError as error:
        raise IdentityError(str(error)) from error
    durable.rename(partial, path)
    return load_key(state, name)


def ensure_identity(state: Path) -> Identity:
    """The identity of the state folder, made with its key where there is none."""
    durable.folder(state)
    known = read_identity(state)
    if known is not None:
        return known
    identity = Identity(server=str(uuid.uuid4()), key="key.pem")
    make_key(state, identity.key)
    write_identity(state, identity)
    return identity


def load_enrolled_identity(state: Path) -> Identity:
    """The identity of an enrolled state folder; IdentityError with what to do when it is not enrolled."""
    known = read_identity(state)
    if known is None or not known.enrolled:
        raise IdentityError(f"the state folder {state} is not enrolled: run `enroll TOKEN` first")
    return known
