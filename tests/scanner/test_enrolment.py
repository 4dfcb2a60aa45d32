"""Enrolment: one-time tokens, proof of possession, bearer tokens."""

from __future__ import annotations

import json
import shlex
import threading
import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from scanner import central_key, enrolment
from scanner.errors import FinalRefusal, Forbidden, Malformed, Unauthorised
from scanner.format.envelope import ENROLMENT_TYPE, REPLY_TYPE, RUN_TYPE, open_envelope, seal_envelope
from scanner.format.signing import keyid
from scanner.models import EnrolmentToken, Server, ServerKey, ServerToken
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db
P = 2**255 - 19


def test_the_tokens_text() -> None:
    """A token names server and central key, carries a secret and a checksum; only its hash is kept, for 24 hours."""
    server = make.make_server()
    text = enrolment.create_token(server)
    kind, uuid, secret, fingerprint, crc = text.split(".")

    assert (kind, uuid, fingerprint) == ("bse1", str(server.uuid), central_key.load_key().keyid)
    assert (len(secret), crc) == (43, f"{zlib.crc32(text.rpartition('.')[0].encode()):08x}")

    token = EnrolmentToken.objects.get()
    assert secret.encode() not in bytes(token.digest)
    assert timedelta(hours=23) < token.expires_at - timezone.now() <= timedelta(hours=24)


def test_the_command_line(settings: Any) -> None:
    """The command to paste is one line that a shell takes apart as meant."""
    settings.BACKUP_SYNCER_PUBLIC_URL = "https://backup.example.org"
    text = enrolment.create_token(make.make_server())
    expected = ["backup-syncer-collector", "enroll", text, "--server", "https://backup.example.org"]
    assert shlex.split(enrolment.collector_command(text)) == expected


def test_enrolment_over_http() -> None:
    """A token and a proof of possession give a signed reply with a good bearer token and the central key."""
    server = make.make_server("north")
    signer = make.make_signer()
    body = make.make_enrolment(enrolment.create_token(server), signer)
    response = Client().post("/api/v1/enrolment", body, content_type="application/vnd.dsse.envelope.v1+json")

    assert response.status_code == 201

    envelope = open_envelope(response.content, REPLY_TYPE)
    members = json.loads(envelope.payload)

    assert envelope.verify(bytes.fromhex(members["central"]))
    assert (members["for"], members["server"], members["name"]) == ("enrolment", str(server.uuid), "north")
    assert members["keyid"] == signer.keyid == ServerKey.objects.get(server=server).keyid
    assert enrolment.authenticate(members["token"]) == server


def test_a_lost_answer() -> None:
    """The same key may redeem its token again while it lives; another key may not."""
    server = make.make_server()
    signer = make.make_signer()
    text = enrolment.create_token(server)
    first, again = (enrolment.redeem_token(make.make_enrolment(text, signer)) for _ in range(2))

    assert (first.key, ServerKey.objects.count()) == (again.key, 1)
    assert enrolment.authenticate(again.token) == server
    with pytest.raises(Unauthorised):
        enrolment.redeem_token(make.make_enrolment(text, make.make_signer()))

    enrolment.revoke_key(first.key)
    with pytest.raises(Unauthorised):
        enrolment.redeem_token(make.make_enrolment(text, signer))


def test_bad_tokens_are_refused_alike() -> None:
    """Wrong, expired, used, revoked, another server's, another central server's, an archived server's: one text."""
    server = make.make_server()
    other = make.make_server()
    good, expired = (enrolment.create_token(server) for _ in range(2))
    EnrolmentToken.objects.filter(pk=EnrolmentToken.objects.order_by("pk")[1].pk).update(expires_at=timezone.now())
    archived = enrolment.create_token(make.make_server(archived_at=timezone.now()))
    revoked = enrolment.create_token(other)
    enrolment.revoke_tokens(other)
    cases: list[tuple[str, dict[str, str]]] = [(token, {}) for token in (expired, archived, revoked)]
    cases += [(good, {"secret": "A" * 43}), (good, {"server": str(other.uuid)}), (good, {"central": "0" * 64})]
    for token, fields in cases:
        with pytest.raises(Unauthorised) as caught:
            enrolment.redeem_token(make.make_enrolment(token, make.make_signer(), **fields))
        assert caught.value.detail == enrolment.BAD_TOKEN

    assert enrolment.redeem_token(make.make_enrolment(good, make.make_signer())).server == server


@pytest.mark.parametrize(
    "public",
    [
        (1).to_bytes(32, "little"),
        (0).to_bytes(32, "little"),
        (P - 1).to_bytes(32, "little"),
        (P).to_bytes(32, "little"),
        (P + 1).to_bytes(32, "little"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        b"\xff" * 32,
    ],
)
def test_weak_keys_are_refused(public: bytes) -> None:
    """Keys of small order and keys that are not coded canonically register nothing, and leave the token unused."""
    server = make.make_server()
    text = enrolment.create_token(server)
    weak = Signer(make.make_signer().private, public)

    with pytest.raises(FinalRefusal) as caught:
        enrolment.redeem_token(make.make_enrolment(text, weak))
    assert caught.value.extra["recorded"] is False
    assert enrolment.redeem_token(make.make_enrolment(text, make.make_signer())).server == server


def test_a_second_use_is_named(admin_client: Client) -> None:
    """A used token that comes with another key says when and from where it was used; the server's page shows both."""
    server = make.make_server()
    text = enrolment.create_token(server)
    signer = make.make_signer()

    def enrol(key: Signer, address: str) -> Any:
        body = make.make_enrolment(text, key)
        return Client(REMOTE_ADDR=address).post(
            "/api/v1/enrolment", body, content_type="application/vnd.dsse.envelope.v1+json"
        )

    def page() -> str:
        return admin_client.get(f"/servers/{server.uuid}/", headers={"accept-language": "en"}).content.decode()

    assert enrol(signer, "192.0.2.1").status_code == 201
    # A lost answer: the same key may come again, from wherever its server is now.
    assert enrol(signer, "192.0.2.2").status_code == 201
    assert "used twice" not in page()

    refusal = enrol(make.make_signer(), "2001:db8::7")
    assert refusal.status_code == 401
    assert f"{timezone.now():%Y-%m-%d}" in refusal.json()["detail"]
    assert "from 192.0.2.1, with another key" in refusal.json()["detail"]
    shown = " ".join(page().split())
    assert "used twice" in shown
    assert "from 192.0.2.1, which registered a key" in shown
    assert "from 2001:db8::7, which was refused" in shown
    assert server.keys.count() == 1

    with pytest.raises(Unauthorised, match="used already"):
        enrolment.redeem_token(make.make_enrolment(text, make.make_signer()), "no address")


@pytest.mark.parametrize("revoked", [False, True])
def test_known_keys_are_refused(revoked: bool) -> None:
    """A key that any server has or had cannot be registered again; the token stays good."""
    signer = make.make_key(make.make_server())
    if revoked:
        ServerKey.objects.update(revoked_at=timezone.now())
    server = make.make_server()
    text = enrolment.create_token(server)

    with pytest.raises(FinalRefusal, match="known"):
        enrolment.redeem_token(make.make_enrolment(text, signer))
    assert enrolment.redeem_token(make.make_enrolment(text, make.make_signer())).server == server


def test_possession_must_be_proven() -> None:
    """Who does not hold the key, or signs for another purpose, registers nothing."""
    text = enrolment.create_token(make.make_server())
    mine = make.make_signer()
    yours = make.make_signer()
    stolen = Signer(mine.private, yours.public)
    for line, error in (
        (make.make_enrolment(text, stolen), Forbidden),
        (make.make_enrolment(text, mine, public_key=yours.public.hex()), Forbidden),
        (make.make_enrolment(text, mine, RUN_TYPE), Malformed),
        (make.make_enrolment(text, mine).replace(mine.keyid.encode(), keyid(b"x").encode()), Forbidden),
    ):
        with pytest.raises(error):
            enrolment.redeem_token(line)

    assert not ServerKey.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"server": "x"},
        {"server": 7},
        {"secret": "\ud800" * 43},
        {"secret": "A" * 44},
        {"public_key": "A" * 64},
        {"public_key": "00"},
        {"central": None},
        {"host": "a\nb"},
        {"host": "x" * 300},
        {"time": "now"},
        {"more": 1},
    ],
)
def test_bad_members(fields: dict[str, Any]) -> None:
    """A member that is missing, foreign or of another form is malformed, whoever signed it."""
    signer = make.make_signer()
    members = json.loads(
        open_envelope(make.make_enrolment(enrolment.create_token(make.make_server()), signer), ENROLMENT_TYPE)[1]
    )
    payload = json.dumps(members | fields).encode()

    with pytest.raises(Malformed):
        enrolment.redeem_token(seal_envelope(ENROLMENT_TYPE, payload, signer.sign, signer.keyid))


def test_guessing_is_slowed_down() -> None:
    """After five failures in a minute an address is told to wait; another address is not."""
    text = enrolment.create_token(make.make_server())

    def attempt(secret: str, address: str) -> Any:
        line = make.make_enrolment(text, make.make_signer(), **({"secret": secret} if secret else {}))
        kind = "application/vnd.dsse.envelope.v1+json"
        return Client(REMOTE_ADDR=address).post("/api/v1/enrolment", line, content_type=kind)

    assert [attempt("B" * 43, "192.0.2.1").status_code for _ in range(5)] == [401] * 5

    slowed = attempt("", "192.0.2.1")
    assert make.read_refusal(slowed, 429)["error"] == "quota"
    assert 1 <= int(slowed["Retry-After"]) <= 60
    assert attempt("", "192.0.2.2").status_code == 201


def test_unused_bearer_tokens_do_not_pile_up() -> None:
    """Only the newest of the tokens that were never used is kept."""
    server = make.make_server()
    used = enrolment.grant_bearer_token(server)
    enrolment.authenticate(used)
    tokens = [enrolment.grant_bearer_token(server) for _ in range(5)]

    assert ServerToken.objects.count() == 2
    assert enrolment.authenticate(tokens[-1]) == server

    for token in (used, *tokens[:-1]):
        with pytest.raises(Unauthorised):
            enrolment.authenticate(token)


def test_revoked_tokens() -> None:
    """Revoking ends bearer and enrolment tokens of this server alone."""
    server = make.make_server()
    other = make.make_server()
    mine = enrolment.grant_bearer_token(server)
    theirs = enrolment.grant_bearer_token(other)
    text = enrolment.create_token(server)

    assert enrolment.revoke_tokens(server) == 2
    with pytest.raises(Unauthorised):
        enrolment.authenticate(mine)
    with pytest.raises(Unauthorised):
        enrolment.redeem_token(make.make_enrolment(text, make.make_signer()))
    assert enrolment.authenticate(theirs) == other


@pytest.mark.django_db(transaction=True)
def test_forty_at_once() -> None:
    """Exactly one of forty who redeem one token at the same time is enrolled."""
    server = make.make_server()
    text = enrolment.create_token(server)
    central_key.load_key()
    lines = [make.make_enrolment(text, make.make_signer()) for _ in range(40)]
    won: list[Server] = []
    barrier = threading.Barrier(40)

    def attempt(line: bytes) -> None:
        barrier.wait()
        try:
            won.append(enrolment.redeem_token(line).server)
        except Unauthorised:
            return
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (won, ServerKey.objects.count(), ServerToken.objects.count()) == ([server], 1, 1)
