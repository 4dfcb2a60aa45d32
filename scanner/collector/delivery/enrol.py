"""Enrol this collector with the central server: a token for a registered key.

Each side proves who it is. The collector signs with the key that it registers; the central server signs with the key
whose fingerprint the token has.
"""

from __future__ import annotations

import os
import platform
import time
from typing import Any, Optional

from scanner.collector.config import Config
from scanner.collector.delivery import identity
from scanner.collector.delivery.client import (
    ENVELOPE_TYPE,
    Client,
    RefusalError,
    SignedReply,
    UntrustedReplyError,
    open_reply,
    read_refusal,
)
from scanner.collector.delivery.enrolment_token import EnrolmentToken, parse_token
from scanner.collector.delivery.identity import Identity
from scanner.collector.errors import IdentityError
from scanner.collector.system import durable
from scanner.format import signing
from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.envelope import ENROLMENT_TYPE, REPLY_LIMIT, REPLY_TYPE, open_envelope, seal_envelope
from scanner.format.errors import RecordError, ReportError, SigningError
from scanner.format.timestamps import format_timestamp

_NEW_KEY_NAME = "key.new.pem"
_LONGEST_HOST_NAME = 200


def enrol(config: Config, token_text: str, url: Optional[str], rotate: bool) -> Identity:
    """Redeem the token at the central server and return the identity that the state directory has from now on.

    With `rotate` an enrolled server gets a new key, and the old one is destroyed. When the answer was lost on the way,
    the call may be repeated: the same token and key give the same answer. Raises any CollectorError.
    """
    token = parse_token(token_text)
    address = url or config.server
    old_identity = identity.ensure_identity(config.state)
    _check_allowed(old_identity, token, address, rotate)

    key = _prepare_key(config, old_identity, rotate)
    try:
        reply = _redeem(Client(address or old_identity.url or "", config), token, key)
    except RefusalError as error:
        if error.status == 422 and rotate:
            # The central server will never accept this key. The next attempt makes another one.
            durable.remove_file(key.path)
        raise

    # Until the next write the old identity holds. After it the old key is of no use, and is destroyed.
    new_identity = _adopt_key(config, old_identity, key, reply)._replace(url=address or old_identity.url)
    identity.write_identity(config.state, new_identity)
    if old_identity.key != new_identity.key:
        durable.remove_file(config.state / old_identity.key)
    durable.remove_file(config.state / _NEW_KEY_NAME)
    return new_identity


def _check_allowed(old_identity: Identity, token: EnrolmentToken, address: Optional[str], rotate: bool) -> None:
    """Raise IdentityError when this state directory cannot redeem the token."""
    if old_identity.enrolled and old_identity.server != token.server:
        raise IdentityError(
            "this state directory is enrolled as another server: set another directory as `state` in the configuration"
        )
    if old_identity.enrolled and not rotate:
        raise IdentityError("already enrolled; `enroll --rotate TOKEN` makes a new key")
    if address is None and old_identity.url is None:
        raise IdentityError(
            "the address of the central server is not known: give --server URL, or set `server` in the configuration"
        )


def _prepare_key(config: Config, old_identity: Identity, rotate: bool) -> signing.SigningKey:
    """Return the key to register: the present one, or a new one for a rotation.

    A rotation that was interrupted has made its key already, and may have registered it: that key is used again.
    """
    if not rotate:
        return identity.make_key(config.state, old_identity.key)

    new_key = identity.make_key(config.state, _NEW_KEY_NAME)
    present_key = identity.load_key(config.state, old_identity.key)
    if new_key.keyid != present_key.keyid:
        return new_key

    # The file is left over from a rotation that was completed: its key is the present one.
    durable.remove_file(config.state / _NEW_KEY_NAME)
    return identity.make_key(config.state, _NEW_KEY_NAME)


def _redeem(client: Client, token: EnrolmentToken, key: signing.SigningKey) -> SignedReply:
    """Send the request, signed with the new key, and return the reply, signed by the expected central server."""
    members = {
        "server": token.server,
        "secret": token.secret,
        "public_key": key.public.hex(),
        "central": token.central,
        "host": platform.node()[:_LONGEST_HOST_NAME],
        "time": format_timestamp(time.time()),
    }
    line = seal_envelope(ENROLMENT_TYPE, canonical_json(members).encode(), key.sign, key.keyid)
    headers = {"Content-Type": ENVELOPE_TYPE, "Content-Length": str(len(line))}
    response = client.request("POST", "/enrolment", headers, line)
    if response.status not in (200, 201):
        raise read_refusal(response)

    # Nothing is believed of the answer before its key has the fingerprint that the administrator pasted.
    central_key = _read_central_key(response.body, token.central)
    reply = open_reply(response.body, "enrolment", central_key.hex(), token.server)
    if reply.members.get("keyid") != key.keyid or not isinstance(reply.members.get("token"), str):
        raise UntrustedReplyError("the reply to the enrolment names another key, or gives no token")
    return reply


def _read_central_key(line: bytes, fingerprint: str) -> bytes:
    """Return the central server's public key in the reply. UntrustedReplyError unless it has this fingerprint."""
    try:
        members: Any = decode_json(open_envelope(line, REPLY_TYPE, REPLY_LIMIT).payload)
        public_key = bytes.fromhex(members["central"])
        signing.check_public_key(public_key)
    except (ReportError, RecordError, SigningError, KeyError, TypeError, ValueError) as error:
        raise UntrustedReplyError(f"the answer to the enrolment is no reply of a central server: {error}") from error

    if signing.keyid(public_key) != fingerprint:
        raise UntrustedReplyError(
            "the server that answers is not the central server that the token names: check the address; "
            "somebody may be in between"
        )
    return public_key


def _adopt_key(config: Config, old_identity: Identity, key: signing.SigningKey, reply: SignedReply) -> Identity:
    """Return the identity with its new enrolment.

    A new key first gets a name of its own as a second link, so that writing the identity switches key and enrolment
    by one rename.
    """
    key_name = old_identity.key
    if key.path.name == _NEW_KEY_NAME:
        key_name = f"key-{key.keyid[:16]}.pem"
        if not (config.state / key_name).exists():
            with durable.storage_errors(config.state / key_name):
                os.link(config.state / _NEW_KEY_NAME, config.state / key_name)
            durable.sync_directory(config.state)

    members = reply.members
    return Identity(
        server=members["server"],
        key=key_name,
        name=str(members.get("name", "")),
        central=members["central"],
        token=members["token"],
    )
