"""The first meeting with the central server: a token for a key, and each side proves who it is."""

from __future__ import annotations

import os
import platform
import time
from typing import Any, Optional

from scanner.collector.config import Config
from scanner.collector.delivery import enrolment_token, identity
from scanner.collector.delivery.client import (
    ENVELOPE_TYPE,
    Client,
    RefusalError,
    SignedReply,
    UntrustedReplyError,
    open_reply,
    read_refusal,
)
from scanner.collector.delivery.identity import Identity
from scanner.collector.errors import IdentityError
from scanner.collector.system import durable
from scanner.format import signing
from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.envelope import ENROLMENT_TYPE, REPLY_LIMIT, REPLY_TYPE, open_envelope, seal_envelope
from scanner.format.errors import RecordError, ReportError, SigningError
from scanner.format.timestamps import format_timestamp

_NEW_KEY = "key.new.pem"


def enrol(config: Config, text: str, url: Optional[str], rotate: bool) -> Identity:
    """Redeem the token `text` at the central server; the identity that the state folder has from now on.

    With `rotate` an enrolled server gets a new key, and the old one is destroyed. An answer that was lost on the way
    is asked for again with the same token and key. Raises a CollectorError of any kind.
    """
    wanted = enrolment_token.parse_token(text)
    address = url or config.server
    before = identity.ensure_identity(config.state)
    _check(before, wanted, address, rotate)
    key = _key(config, before, rotate)
    try:
        reply = _redeem(Client(address or before.url or "", config), wanted, key)
    except RefusalError as error:
        if error.status == 422 and rotate:  # this key will never do; the next try makes another
            durable.remove(key.path)
        raise
    after = _adopt(config, before, key, reply)._replace(url=address or before.url)
    identity.write_identity(config.state, after)
    if before.key != after.key:
        durable.remove(config.state / before.key)
    durable.remove(config.state / _NEW_KEY)
    return after


def _check(before: Identity, wanted: enrolment_token.EnrolmentToken, address: Optional[str], rotate: bool) -> None:
    if before.enrolled and before.server != wanted.server:
        raise IdentityError("this state folder is enrolled as another server; give another one in the configuration")
    if before.enrolled and not rotate:
        raise IdentityError("already enrolled; `enroll --rotate TOKEN` makes a new key")
    if address is None and before.url is None:
        raise IdentityError("where is the central server? give --server URL, or `server` in the configuration")


def _key(config: Config, before: Identity, rotate: bool) -> signing.SigningKey:
    """The key to be registered: the present one, or a new one that an interrupted rotation may have made already."""
    if not rotate:
        return identity.make_key(config.state, before.key)
    key = identity.make_key(config.state, _NEW_KEY)
    if key.keyid != identity.load_key(config.state, before.key).keyid:
        return key
    durable.remove(config.state / _NEW_KEY)
    return identity.make_key(config.state, _NEW_KEY)


def _redeem(client: Client, wanted: enrolment_token.EnrolmentToken, key: signing.SigningKey) -> SignedReply:
    members = {
        "server": wanted.server,
        "secret": wanted.secret,
        "public_key": key.public.hex(),
        "central": wanted.central,
        "host": platform.node()[:200],
        "time": format_timestamp(time.time()),
    }
    line = seal_envelope(ENROLMENT_TYPE, canonical_json(members).encode(), key.sign, key.keyid)
    headers = {"Content-Type": ENVELOPE_TYPE, "Content-Length": str(len(line))}
    answer = client.request("POST", "/enrolment", headers, line)
    if answer.status not in (200, 201):
        raise read_refusal(answer)
    central = _central_key(answer.body, wanted.central)
    reply = open_reply(answer.body, "enrolment", central.hex(), wanted.server)
    if reply.members.get("keyid") != key.keyid or not isinstance(reply.members.get("token"), str):
        raise UntrustedReplyError("the reply to the enrolment names another key, or gives no token")
    return reply


def _central_key(line: bytes, fingerprint: str) -> bytes:
    """The central server's key as the reply tells it; Untrusted unless the token has its fingerprint."""
    try:
        members: Any = decode_json(open_envelope(line, REPLY_TYPE, REPLY_LIMIT).payload)
        public = bytes.fromhex(members["central"])
        signing.check_public_key(public)
    except (ReportError, RecordError, SigningError, KeyError, TypeError, ValueError) as error:
        raise UntrustedReplyError(f"the reply to the enrolment is none: {error}") from error
    if signing.keyid(public) != fingerprint:
        raise UntrustedReplyError("the server that answers is not the central server that the token names")
    return public


def _adopt(config: Config, before: Identity, key: signing.SigningKey, reply: SignedReply) -> Identity:
    """The identity with its new enrolment; its key takes a name of its own first, so that one rename switches all."""
    name = before.key
    if key.path.name == _NEW_KEY:
        name = f"key-{key.keyid[:16]}.pem"
        if not (config.state / name).exists():
            with durable.storage_errors(config.state / name):
                os.link(config.state / _NEW_KEY, config.state / name)
            durable.sync_folder(config.state)
    members = reply.members
    return Identity(
        server=members["server"],
        key=name,
        name=str(members.get("name", "")),
        central=members["central"],
        token=members["token"],
    )
