"""Enrol servers: one-time tokens, the keys that they register, and bearer tokens for transport.

Of every token only its SHA-256 is kept. The key of a server is made on that server and never leaves it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import shlex
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, Func, QuerySet
from django.utils import timezone

from scanner import central_key, trust_records
from scanner.errors import FinalRefusal, Forbidden, Malformed, Unauthorised
from scanner.format import signing
from scanner.format.canonical_json import decode_json
from scanner.format.envelope import ENROLMENT_TYPE, open_envelope
from scanner.format.errors import RecordError, ReportError, SigningError
from scanner.format.timestamps import format_timestamp
from scanner.models import EnrolmentToken, Server, ServerKey, ServerToken
from scanner.signals import key_compromised
from scanner.trust_records import Act

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class ClockTimestamp(Func):
    """The database's clock now, not when the transaction began as `Now` has it."""

    template = "clock_timestamp()"
    output_field = DateTimeField()


TOKEN_HOURS = 24
"""How long an enrolment token is valid by default."""
LAST_SEEN_PRECISION = timedelta(minutes=1)
"""A request within this time after the last one is not recorded: not every request writes to the database."""
BAD_TOKEN = "The enrolment token is wrong, used or expired."
_MEMBERS = {
    "server": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "secret": r"[A-Za-z0-9_-]{43}",
    "public_key": r"[0-9a-f]{64}",
    "central": r"[0-9a-f]{64}",
    "host": r"[^\0-\x1f\ud800-\udfff]{0,255}",
    "time": r"2[01]\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
}
"""Members of the payload, in their order, and the pattern of each."""


class Enrolment(NamedTuple):
    """Result of an enrolment: the server, its registered key, and a bearer token."""

    server: Server
    key: ServerKey
    token: str


def create_token(server: Server, by: User | None = None, hours: int = TOKEN_HOURS) -> str:
    """Return a new one-time token, `bse1.<server>.<secret>.<central key's id>.<crc32>`. It cannot be shown again."""
    secret = secrets.token_urlsafe(32)
    expires_at = timezone.now() + timedelta(hours=hours)
    digest = _digest(secret)
    with transaction.atomic():
        EnrolmentToken.objects.create(server=server, digest=digest, created_by=by, expires_at=expires_at)
        trust_records.append(Act.TOKEN, server=server, token=digest.hex(), by=_name_of(by))

    text = f"bse1.{server.uuid}.{secret}.{central_key.load_key().keyid}"
    return f"{text}.{zlib.crc32(text.encode()):08x}"


def collector_command(token: str) -> str:
    """Return the command line that enrols a server with this token, to be pasted on that server."""
    return shlex.join(["backup-syncer-collector", "enroll", token, "--server", settings.BACKUP_SYNCER_PUBLIC_URL])


def redeem_token(line: bytes, address: str | None = None) -> Enrolment:
    """Register the key that signed this enrolment's envelope, which came from `address`, and grant a bearer token.

    The same key may come again while the token is valid, since the response may have been lost. Raise Malformed;
    Forbidden for a bad signature; FinalRefusal for a weak or known key; Unauthorised for a token that is wrong or
    expired, always with the same words, and for a used one, with when and from where it was used: only somebody who has
    the token learns that.
    """
    public, members = _verify_enrolment(line)
    address = _ip_address(address)
    token = _valid_tokens(members).select_related("server").first()
    # One answer for all of these: a stranger does not learn which of them it was.
    if token is None or not _is_recorded(token) or members["central"] != central_key.load_key().keyid:
        raise Unauthorised(BAD_TOKEN)

    with transaction.atomic():
        # Conditions on the row alone, no join: whoever waited for its lock must see the row as it is then.
        unused = EnrolmentToken.objects.filter(pk=token.pk, used_at=None)
        if unused.update(used_at=timezone.now(), used_from=address):
            key: ServerKey | None = _register_key(token, public)
        else:
            key = _find_registered_key(token, public)
        if key is not None:
            return Enrolment(token.server, key, grant_bearer_token(token.server))

    # Outside the transaction, which the refusal must not roll back.
    raise _record_second_use(token, address)


def grant_bearer_token(server: Server) -> str:
    """Return a new bearer token. Older ones that were never used end now, the others when the new one is first used."""
    text = f"bst1.{secrets.token_urlsafe(32)}"
    ServerToken.objects.filter(server=server, last_used_at=None).delete()
    ServerToken.objects.create(server=server, digest=_digest(text))
    return text


def authenticate(text: str) -> Server:
    """Return the server of a bearer token. Raise Unauthorised when it is unknown or revoked, or the server archived."""
    token = ServerToken.objects.select_related("server").filter(digest=_digest(text), revoked_at=None).first()
    if token is None or token.server.archived_at is not None:
        raise Unauthorised("The bearer token is not known, or revoked.")

    now = timezone.now()
    if token.last_used_at is None:
        # The new token has arrived: the older ones are not needed any more.
        token.server.tokens.filter(pk__lt=token.pk, revoked_at=None).update(revoked_at=now)
    if token.last_used_at is None or token.last_used_at < now - LAST_SEEN_PRECISION:
        ServerToken.objects.filter(pk=token.pk).update(last_used_at=now)
        Server.objects.filter(pk=token.server_id).update(last_seen_at=now)
    return token.server


def has_valid_tokens(server: Server) -> bool:
    """Return whether `server` has a bearer or enrolment token that `revoke_tokens` would end.

    A used enrolment token counts until it expires: the key that used it may come back with it.
    """
    if server.tokens.filter(revoked_at=None).exists():
        return True
    return server.enrolment_tokens.filter(expires_at__gt=timezone.now()).exists()


def revoke_tokens(server: Server, by: User | None = None) -> int:
    """End every bearer and enrolment token of `server`; its keys stay. Return how many were valid until now."""
    now = timezone.now()
    with transaction.atomic():
        ended_enrolments = server.enrolment_tokens.filter(expires_at__gt=now).update(expires_at=now)
        ended_tokens = server.tokens.filter(revoked_at=None).update(revoked_at=now)
        trust_records.append(Act.END_TOKENS, server=server, by=_name_of(by))
    return ended_enrolments + ended_tokens


def revoke_key(key: ServerKey, by: User | None = None) -> None:
    """Accept nothing that `key` signs from now on; what was accepted stays."""
    if key.revoked_at is None:
        with transaction.atomic():
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            trust_records.append(Act.REVOKE, server=key.server, key=key.keyid, by=_name_of(by))


def mark_compromised(key: ServerKey, since: datetime, by: User | None = None) -> None:
    """Revoke `key`, and believe nothing that it signed and that was received since a moment.

    A moment that was named before holds when it is the earlier one.
    """
    if key.compromised_since is not None:
        since = min(since, key.compromised_since)
    with transaction.atomic():
        revoke_key(key, by)
        key.compromised_since = since
        key.save(update_fields=["compromised_since"])
        moment = format_timestamp(since.timestamp())
        trust_records.append(Act.COMPROMISE, server=key.server, key=key.keyid, since=moment, by=_name_of(by))
        key_compromised.send(sender=ServerKey, key=key)


def adopt_key(key: ServerKey) -> None:
    """Record a key that was registered without a record, as an operator has decided. A revoked one stays revoked."""
    trust_records.append(Act.ADOPT, server=key.server, key=key.keyid)
    if key.revoked_at is not None:
        trust_records.append(Act.REVOKE, server=key.server, key=key.keyid)


def unrecorded_keys() -> list[ServerKey]:
    """Return the keys that no trust record names: registered by an older version, or by a stranger."""
    records = trust_records.load()
    keys = ServerKey.objects.select_related("server").order_by("server__name", "pk")
    return [key for key in keys if records.find_key(key.keyid, str(key.server.uuid)) is None]


def _name_of(user: User | None) -> str:
    if user is None:
        return ""
    return user.get_username()


def _is_recorded(token: EnrolmentToken) -> bool:
    """Return whether a trust record names this token: a row that somebody wrote into the table registers no key."""
    return trust_records.load().has_token(bytes(token.digest).hex(), str(token.server.uuid))


def end_replaced_keys(key: ServerKey) -> None:
    """Let the older keys of a server end: a report that `key` has signed is accepted.

    Until then both hold, so that a rotation whose answer is lost leaves the server with a key. A key that an operator
    named for imported files ends none: older files of the same server may still come. Call it in the transaction that
    records the report.
    """
    trusted = trust_records.load().find_key(key.keyid, str(key.server.uuid))
    if trusted is None or trusted.act == Act.IMPORT:
        return
    older_keys = ServerKey.objects.filter(server=key.server_id, pk__lt=key.pk, revoked_at=None)
    # Locked first: a report of an older key that is being recorded gets its time before the key ends.
    locked = [older_key.pk for older_key in older_keys.select_for_update(no_key=True).order_by("pk")]
    if locked:
        ServerKey.objects.filter(pk__in=locked).update(revoked_at=ClockTimestamp(), replaced_by=key)
        for older_key in ServerKey.objects.filter(pk__in=locked):
            trust_records.append(Act.REVOKE, server=key.server, key=older_key.keyid)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _verify_enrolment(line: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the public key and the payload of an enrolment that this very key has signed."""
    try:
        envelope = open_envelope(line, ENROLMENT_TYPE)
        members = decode_json(envelope.payload)
    except (ReportError, RecordError) as error:
        raise Malformed(f"No good enrolment: {error}.") from error

    if not isinstance(members, dict) or list(members) != list(_MEMBERS):
        raise Malformed("The enrolment's members are not those of the API, in their order.")
    for name, pattern in _MEMBERS.items():
        value = members[name]
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise Malformed(f"The enrolment's {name} is not what the API allows.")

    public = bytes.fromhex(members["public_key"])
    try:
        signing.check_public_key(public)
    except SigningError as error:
        raise FinalRefusal(f"{error}.".capitalize(), recorded=False) from error

    # Whoever enrols a key must hold it: nobody registers the public key of somebody else.
    if envelope.keyid != signing.keyid(public) or not envelope.verify(public):
        raise Forbidden("The enrolment is not signed by the key that it names.")
    return public, members


def _valid_tokens(members: dict[str, str]) -> QuerySet[EnrolmentToken]:
    """Return the token that the payload names, unless it has expired. A used one, too: all refusals are alike."""
    return EnrolmentToken.objects.filter(
        digest=_digest(members["secret"]),
        server__uuid=members["server"],
        server__archived_at=None,
        expires_at__gt=timezone.now(),
    )


def _register_key(token: EnrolmentToken, public: bytes) -> ServerKey:
    """Return the new key of the token's server. Raise FinalRefusal when any server has or had this key."""
    try:
        with transaction.atomic():
            key = ServerKey.objects.create(server=token.server, keyid=signing.keyid(public), public=public)
    except IntegrityError as error:
        # The refusal also rolls back the use of the token: it can register another key.
        raise FinalRefusal("The key is known already; make a new one.", recorded=False) from error
    EnrolmentToken.objects.filter(pk=token.pk).update(key=key)

    digest = bytes(token.digest).hex()
    # Whoever can write to the table can make a used token look unused.
    if trust_records.load().key_of_token(digest) not in ("", key.keyid):
        raise Unauthorised(BAD_TOKEN)
    trust_records.append(Act.ENROL, server=token.server, key=key.keyid, token=digest)
    return key


def _find_registered_key(token: EnrolmentToken, public: bytes) -> ServerKey | None:
    """Return the key that this used token has registered, if it is the key that asks again; None for another key."""
    key_id = EnrolmentToken.objects.values_list("key", flat=True).get(pk=token.pk)
    key = ServerKey.objects.filter(pk=key_id).first()
    if key is None or bytes(key.public) != public:
        return None
    if key.revoked_at is not None:
        raise Unauthorised(BAD_TOKEN)
    return key


def _ip_address(text: str | None) -> str | None:
    """Return an address as the database takes it; None for one that is none, such as that of a UNIX socket."""
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None


def _record_second_use(token: EnrolmentToken, address: str | None) -> Unauthorised:
    """Keep the first attempt to use a used token with another key, and return the refusal that names the use."""
    EnrolmentToken.objects.filter(pk=token.pk, reused_at=None).update(reused_at=timezone.now(), reused_from=address)
    token.refresh_from_db()
    assert token.used_at is not None
    moment = f"{token.used_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    place = token.used_from or "an unknown address"
    return Unauthorised(f"The enrolment token was used already, at {moment} from {place}, with another key.")
