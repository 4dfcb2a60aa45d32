"""Keep who this collector is: its private key, the server that it speaks for, and the central server that it trusts.

Everything but the key is in one file, which is replaced as a whole: one rename switches to another key or enrolment.
"""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import NamedTuple, Optional

from scanner.collector.config import parse_server_url
from scanner.collector.errors import IdentityError
from scanner.collector.system import durable
from scanner.format.errors import SigningError
from scanner.format.signing import SigningKey

FILE_NAME = "identity.json"
_FIRST_KEY_NAME = "key.pem"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}\Z")
# The key lies in the state directory itself: its name leads to no other directory, nor to this one.
_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
# The token is sent in a header, which holds visible ASCII alone.
_TOKEN = re.compile(r"[!-~]+\Z")
_ADVICE = "restore the state directory, or set another one as `state` and enrol again"


class Identity(NamedTuple):
    """Content of `identity.json`. The last four fields are null until the collector is enrolled."""

    server: str
    """Uuid of the server."""
    key: str
    """Name of the key's file in the state directory."""
    name: Optional[str] = None
    """Name of this server on the central server."""
    url: Optional[str] = None
    """Address of the central server."""
    central: Optional[str] = None
    """Public key of the central server, in hexadecimal digits."""
    token: Optional[str] = None
    """Bearer token, which gives access to the API. It proves nothing: only the key signs."""

    @property
    def enrolled(self) -> bool:
        """True when a central server knows this collector."""
        return self.central is not None and self.token is not None


def read_identity(state: Path) -> Optional[Identity]:
    """Return the identity in the state directory, or None when there is none. IdentityError when it cannot be read."""
    path = state / FILE_NAME
    try:
        members = json.loads(path.read_text(encoding="utf-8"))
        identity = Identity(**members)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise IdentityError(f"cannot read {path}: {error}; {_ADVICE}") from error

    if not _is_valid(identity):
        raise IdentityError(f"{path} does not hold an identity; {_ADVICE}")
    return identity


def _is_valid(identity: Identity) -> bool:
    # The file is JSON: any of its values may have any type, whatever the annotations say.
    if not all(isinstance(value, str) for value in (identity.server, identity.key)):
        return False
    if not _UUID.match(identity.server) or not _KEY_NAME.match(identity.key):
        return False

    enrolment = (identity.name, identity.url, identity.central, identity.token)
    if not all(value is None or isinstance(value, str) for value in enrolment):
        return False
    if identity.token is not None and not _TOKEN.match(identity.token):
        return False
    if identity.url is not None and not _is_address(identity.url):
        return False
    return identity.central is None or _PUBLIC_KEY.match(identity.central) is not None


def _is_address(text: str) -> bool:
    try:
        return parse_server_url(text) is not None
    except ValueError:
        return False


def write_identity(state: Path, identity: Identity) -> None:
    """Replace the identity of the state directory."""
    durable.write_file(state / FILE_NAME, json.dumps(identity._asdict(), indent=1).encode() + b"\n")


def load_key(state: Path, name: str) -> SigningKey:
    """Return the private key in the file `name`. IdentityError when it is missing, readable by others, or no key."""
    try:
        return SigningKey(state / name)
    except SigningError as error:
        raise IdentityError(str(error)) from error


def make_key(state: Path, name: str) -> SigningKey:
    """Return a new private key in the file `name`, or the key that is there already."""
    path = state / name
    if path.exists():
        return load_key(state, name)

    # The key gets its name only when it is complete: a killed `init` leaves no half key behind.
    unfinished = path.with_name(name + durable.TEMPORARY_SUFFIX)
    durable.remove_file(unfinished)
    try:
        SigningKey.create(unfinished)
    except SigningError as error:
        raise IdentityError(str(error)) from error
    durable.rename(unfinished, path)
    return load_key(state, name)


def ensure_identity(state: Path) -> Identity:
    """Return the identity of the state directory. Make it, with its key, where there is none."""
    durable.make_directory(state)
    existing_identity = read_identity(state)
    if existing_identity is not None:
        return existing_identity

    # The key comes first. An identity without its key would be an error; a key without identity is used again.
    identity = Identity(server=str(uuid.uuid4()), key=_FIRST_KEY_NAME)
    make_key(state, identity.key)
    write_identity(state, identity)
    return identity


def load_enrolled_identity(state: Path) -> Identity:
    """Return the identity of an enrolled state directory. IdentityError when it is not enrolled."""
    identity = read_identity(state)
    if identity is None or not identity.enrolled:
        raise IdentityError(f"the state directory {state} is not enrolled: run `enroll TOKEN` first")
    return identity
