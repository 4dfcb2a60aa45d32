"""How a server comes to speak for itself: one-time tokens, the keys they register, and bearer tokens for transport.

Of every token only its SHA-256 is kept. The key of a server is made there and never leaves it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from scanner import server_key
from scanner.errors import FinalRefusal, Forbidden, Malformed, Unauthorised
from scanner.format import signing
from scanner.format.canonical_json import decode_json
from scanner.format.envelope import ENROLMENT_TYPE, open_envelope
from scanner.format.errors import RecordError, ReportError, SigningError
from scanner.models import EnrolmentToken, Server, ServerKey, ServerToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

HOURS = 24
"""How long an enrolment token lives unless it is said otherwise."""
SEEN = timedelta(minutes=1)
"""How exactly it is written down when a server was last seen."""
BAD_TOKEN = "The enrolment token is wrong, used or expired."
_MEMBERS = {
    "server": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "secret": r"[A-Za-z0-9_-]{43}",
    "public_key": r"[0-9a-f]{64}",
    "central": r"[0-9a-f]{64}",
    "host": r"[^\0-\x1f\ud800-\udfff]{0,255}",
    "time": r"2[01]\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
}
"""The payload's members, in their order, and what each may be."""


class Enrolment(NamedTuple):
    """What a collector gets: its server, its registered key, a bearer token."""

    server: Server
    key: ServerKey
    token: str


def create_token(server: Server, by: User | None = None, hours: int = HOURS) -> str:
    """A new one-time token, `bse1.<server>.<secret>.<central key's id>.<crc32>`, which nothing can show again."""
    secret = secrets.token_urlsafe(32)
    expires_at = timezone.now() + timedelta(hours=hours)
    EnrolmentToken.objects.create(server=server, digest=_digest(secret), created_by=by, expires_at=expires_at)
    text = f"bse1.{server.uuid}.{secret}.{server_key.key().keyid}"
    return f"{text}.{zlib.crc32(text.encode()):08x}"


def collector_command(token: str) -> str:
    """The command line that enrols a server with this token, to be pasted there."""
    return shlex.join(["backup-syncer-collector", "enroll", token, "--server", settings.BACKUP_SYNCER_PUBLIC_URL])


def redeem(line: bytes) -> Enrolment:
    """Register the key that signed this enrolment's envelope, and grant a bearer token.

    Raises Malformed; Forbidden for a bad signature; Refused for a weak or known key; Unauthorised, always the same, for
    a token that is wrong, used or expired.
    The same key may come again while the token lives: the answer may have been lost.
    """
    public, said = _read(line)
    token = _tokens(said).select_related("server").first()
    if token is None or said["central"] != server_key.key().keyid:
        raise Unauthorised(BAD_TOKEN)
    with transaction.atomic():
        # Conditions on the row alone, no join: whoever waited for its lock must see it as it is then.
        if EnrolmentToken.objects.filter(pk=token.pk, used_at=None).update(used_at=timezone.now()):
            key = _register(token, public)
        else:
            key = _registered(token, public)
        return Enrolment(token.server, key, grant(token.server))


def grant(server: Server) -> str:
    """A new bearer token; older ones that were never used end now, the others when the new one is first used."""
    text = f"bst1.{secrets.token_urlsafe(32)}"
    ServerToken.objects.filter(server=server, last_used_at=None).delete()
    ServerToken.objects.create(server=server, digest=_digest(text))
    return text


def authenticate(text: str) -> Server:
    """The server whose bearer token this is; Unauthorised when it is nobody's, revoked, or the server is archived."""
    token = ServerToken.objects.select_related("server").filter(digest=_digest(text), revoked_at=None).first()
    if token is None or token.server.archived_at is not None:
        raise Unauthorised("The bearer token is not known, or revoked.")
    now = timezone.now()
    if token.last_used_at is None:
        token.server.tokens.filter(pk__lt=token.pk, revoked_at=None).update(revoked_at=now)
    if token.last_used_at is None or token.last_used_at < now - SEEN:
        ServerToken.objects.filter(pk=token.pk).update(last_used_at=now)
        Server.objects.filter(pk=token.server_id).update(last_seen_at=now)
    return token.server


def revoke_tokens(server: Server) -> int:
    """End every bearer and enrolment token of `server`; its keys stay. Returns how many were good until now."""
    now = timezone.now()
    ended = server.enrolment_tokens.filter(expires_at__gt=now).update(expires_at=now)
    return ended + server.tokens.filter(revoked_at=None).update(revoked_at=now)


def revoke_key(key: ServerKey) -> None:
    """From now on nothing that `key` signs is accepted; what was accepted stays."""
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _tokens(said: dict[str, str]) -> QuerySet[EnrolmentToken]:
    """The token that the payload names, while it lives: used or not, so that all refusals are alike."""
    return EnrolmentToken.objects.filter(
        digest=_digest(said["secret"]),
        server__uuid=said["server"],
        server__archived_at=None,
        expires_at__gt=timezone.now(),
    )


def _read(line: bytes) -> tuple[bytes, dict[str, str]]:
    """The key and the payload of an enrolment that this very key has signed."""
    try:
        envelope = open_envelope(line, ENROLMENT_TYPE)
        said = decode_json(envelope.payload)
    except (ReportError, RecordError) as error:
        raise Malformed(f"No good enrolment: {error}.") from error
    if not isinstance(said, dict) or list(said) != list(_MEMBERS):
        raise Malformed("The enrolment's members are not those of the API, in their order.")
    for name, pattern in _MEMBERS.items():
        if not (isinstance(said[name], str) and re.fullmatch(pattern, said[name])):
            raise Malformed(f"The enrolment's {name} is not what the API allows.")
    public = bytes.fromhex(said["public_key"])
    try:
        signing.check_public_key(public)
    except SigningError as error:
        raise FinalRefusal(f"{error}.".capitalize(), recorded=False) from error
    if envelope.keyid != signing.keyid(public) or not envelope.verify(public):
        raise Forbidden("The enrolment is not signed by the key that it names.")
    return public, said


def _register(token: EnrolmentToken, public: bytes) -> ServerKey:
    """The new key of the token's server; Refused when any server has or had it."""
    try:
        with transaction.atomic():
            key = ServerKey.objects.create(server=token.server, keyid=signing.keyid(public), public=public)
    except IntegrityError as error:
        raise FinalRefusal("The key is known already; make a new one.", recorded=False) from error
    EnrolmentToken.objects.filter(pk=token.pk).update(key=key)
    return key


def _registered(token: EnrolmentToken, public: bytes) -> ServerKey:
    """The key that this used token has registered, when it is the one that asks again."""
    key = ServerKey.objects.filter(pk=EnrolmentToken.objects.values("key").get(pk=token.pk)["key"]).first()
    if key is None or bytes(key.public) != public or key.revoked_at is not None:
        raise Unauthorised(BAD_TOKEN)
    return key
