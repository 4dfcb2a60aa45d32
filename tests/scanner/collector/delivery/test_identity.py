"""Test key, enrolment and token: made once, switched as a whole, refused when they are wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from scanner.collector.delivery import client, enrol, enrolment_token, identity
from scanner.collector.delivery.client import RefusalError, UnreachableError, UntrustedReplyError
from scanner.collector.delivery.enrolment_token import EnrolmentToken
from scanner.collector.delivery.spool import Spool, read_envelope
from scanner.collector.errors import ConfigError, IdentityError, TokenError
from tests.scanner.collector.fake_central import SECRET, FakeCentral, Replica
from tests.scanner.collector.installation import Installation

OTHER_SERVER = "00000000-0000-4000-8000-000000000000"


def test_made_once(tmp_path: Path) -> None:
    """The first call makes key and uuid, later ones find them, and only the owner may read them."""
    first = identity.ensure_identity(tmp_path / "state")
    assert identity.ensure_identity(tmp_path / "state") == first
    assert not first.enrolled

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert modes == {"identity.json": 0o600, "key.pem": 0o600}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"server":1,"key":"k"}', '{"server":"x","key":"k"}', '{"more":1}'])
def test_damaged_identity(tmp_path: Path, text: str) -> None:
    """An identity that cannot be read is an error and never replaced: a new one would break the chain."""
    (tmp_path / "identity.json").write_text(text)
    with pytest.raises(IdentityError):
        identity.ensure_identity(tmp_path)


@pytest.mark.parametrize("member", identity.Identity._fields)
@pytest.mark.parametrize("value", [None, True, 1, 1.5, [], {}, "", "\0", "\ud800", "a/b", ".."])
def test_members_of_a_wrong_kind(tmp_path: Path, member: str, value: Any) -> None:
    """A member that is not what it must be is an error that names the file, never a fault of the program."""
    members = identity.ensure_identity(tmp_path)._asdict()
    members |= {"name": "alpha", "url": "https://backup.example.org", "central": "0" * 64, "token": "bst1.x"}
    file = tmp_path / "identity.json"
    file.write_text(json.dumps({**members, member: value}))

    is_text_that_may_be_anything = member == "name" and isinstance(value, str)
    is_visible_token = member == "token" and value in ("a/b", "..")
    is_not_enrolled = member in ("name", "url", "central", "token") and value is None
    if is_text_that_may_be_anything or is_visible_token or is_not_enrolled:
        assert identity.read_identity(tmp_path) is not None
    else:
        with pytest.raises(IdentityError, match=r"identity\.json does not hold an identity"):
            identity.read_identity(tmp_path)


def test_nested_too_deeply(tmp_path: Path) -> None:
    """A file that no parser can take apart is a damaged one."""
    (tmp_path / "identity.json").write_text("[" * 100_000)
    with pytest.raises(IdentityError, match="cannot read"):
        identity.read_identity(tmp_path)


def test_key_of_others(tmp_path: Path) -> None:
    """A key that is missing or readable by others stops the collector."""
    own_identity = identity.ensure_identity(tmp_path)
    (tmp_path / own_identity.key).chmod(0o644)
    with pytest.raises(IdentityError, match="0600"):
        identity.load_key(tmp_path, own_identity.key)

    (tmp_path / own_identity.key).unlink()
    with pytest.raises(IdentityError, match="cannot read the key"):
        identity.load_key(tmp_path, own_identity.key)


def test_killed_init(tmp_path: Path) -> None:
    """A key that a killed `init` left is used when it is complete, and replaced when it is not."""
    (tmp_path / "key.pem.part").write_text("half")
    own_identity = identity.ensure_identity(tmp_path)
    key = identity.load_key(tmp_path, own_identity.key)

    (tmp_path / "identity.json").unlink()
    new_identity = identity.ensure_identity(tmp_path)
    assert identity.load_key(tmp_path, new_identity.key).keyid == key.keyid


def test_token(central: FakeCentral) -> None:
    """A token holds server, secret and fingerprint. With a changed or missing character it is refused."""
    text = central.token()
    assert enrolment_token.parse_token(f" {text}\n") == EnrolmentToken(central.server, SECRET, central.key.keyid)

    for position, character in enumerate(text):
        other_character = "b" if character != "b" else "c"
        with pytest.raises(TokenError):
            enrolment_token.parse_token(text[:position] + other_character + text[position + 1 :])
        with pytest.raises(TokenError):
            enrolment_token.parse_token(text[:position] + text[position + 1 :])


def test_enrolment(installation: Installation, central: FakeCentral) -> None:
    """Enrolment registers the key that `init` made for the token's server, and keeps the answer."""
    first = identity.ensure_identity(installation.state)

    installation.enrol(central)

    own_identity = identity.load_enrolled_identity(installation.state)
    assert own_identity.server == central.server
    assert own_identity.name == "alpha"
    assert own_identity.url == central.url
    assert own_identity.token == "first"
    assert own_identity.central == central.key.public.hex()
    assert own_identity.key == first.key
    assert central.registered_key == identity.load_key(installation.state, own_identity.key).public


def test_lost_answer(installation: Installation, central: FakeCentral) -> None:
    """An enrolment whose answer was lost succeeds later, with the same token and the same key."""
    central.faults = ["enrolment"]
    with pytest.raises(UnreachableError):
        installation.enrol(central)
    first_key = central.registered_key

    installation.enrol(central)
    assert central.registered_key == first_key


def test_rotation(installation: Installation, central: FakeCentral, replica: Replica) -> None:
    """`--rotate` makes a new key and destroys the old one. Without it an enrolled server stays as it is."""
    old_identity = identity.load_enrolled_identity(installation.state)
    old_key = central.registered_key
    config = installation.load_config()
    with pytest.raises(IdentityError, match="--rotate"):
        enrol.enrol(config, central.token(), None, rotate=False)

    new_identity = enrol.enrol(config, central.token(), None, rotate=True)

    assert new_identity.key != old_identity.key
    assert central.registered_key != old_key
    assert sorted(path.name for path in installation.state.glob("*.pem")) == [new_identity.key]
    assert installation.run().exit_code == 0


def test_rotation_signs_the_queue_again(installation: Installation, central: FakeCentral, replica: Replica) -> None:
    """Queued reports are signed by the new key: the central server takes nothing more of the old one."""
    central.on_hold = True
    for _ in range(2):
        installation.run()
    spool = Spool(installation.state / "replicas" / replica.replica)
    waiting = [read_envelope(report.path) for report in spool.queued_reports()]
    assert len(waiting) == 2

    enrol.enrol(installation.load_config(), central.token(), None, rotate=True)
    central.on_hold = False
    assert installation.run().exit_code == 0

    assert not spool.queued_reports()
    delivered = [read_envelope(report.path) for report in spool.delivered_reports()]
    assert [envelope.payload for envelope in delivered[:2]] == [envelope.payload for envelope in waiting]
    assert {envelope.keyid for envelope in delivered}.isdisjoint(envelope.keyid for envelope in waiting)


def test_interrupted_rotation_goes_on(installation: Installation, central: FakeCentral, replica: Replica) -> None:
    """A rotation whose answer was lost goes on with the registered key, and the old key stays until then."""
    config = installation.load_config()
    central.faults = ["enrolment"]
    with pytest.raises(UnreachableError):
        enrol.enrol(config, central.token(), None, rotate=True)
    registered_key = central.registered_key
    identity.load_key(installation.state, identity.load_enrolled_identity(installation.state).key)

    new_identity = enrol.enrol(config, central.token(), None, rotate=True)
    assert identity.load_key(installation.state, new_identity.key).public == registered_key


def test_leftover_of_a_finished_rotation(installation: Installation, central: FakeCentral, replica: Replica) -> None:
    """The key file of a finished rotation is not used for the next one."""
    config = installation.load_config()
    new_identity = enrol.enrol(config, central.token(), None, rotate=True)
    os.link(installation.state / new_identity.key, installation.state / "key.new.pem")

    newer_identity = enrol.enrol(config, central.token(), None, rotate=True)
    assert newer_identity.key != new_identity.key


def test_another_server(installation: Installation, central: FakeCentral, replica: Replica) -> None:
    """A state directory belongs to one server: a token of another one is refused."""
    central.server = OTHER_SERVER
    with pytest.raises(IdentityError, match="another server"):
        enrol.enrol(installation.load_config(), central.token(), None, rotate=True)


def test_stranger(installation: Installation, central: FakeCentral, tmp_path: Path) -> None:
    """A server whose key has not the token's fingerprint is not believed, and nothing is kept."""
    (tmp_path / "other").mkdir()
    with FakeCentral(tmp_path / "other") as stranger:
        stranger.server = central.server
        with pytest.raises(RefusalError):  # an honest server finds the foreign fingerprint itself
            enrol.enrol(installation.configure(server=stranger.url), central.token(), None, rotate=False)

        stranger.key.keyid = central.key.keyid
        with pytest.raises(UntrustedReplyError, match="not the central server"):
            enrol.enrol(installation.configure(server=stranger.url), central.token(), None, rotate=False)

    own_identity = identity.read_identity(installation.state)
    assert own_identity is not None
    assert not own_identity.enrolled


def test_wrong_secret(installation: Installation, central: FakeCentral) -> None:
    """A token that the central server refuses is an error with its status."""
    installation.configure(server=central.url)
    token_text = central.token()
    central.server = OTHER_SERVER
    with pytest.raises(RefusalError, match="401"):
        enrol.enrol(installation.load_config(), token_text, None, rotate=False)


def test_no_address(installation: Installation, central: FakeCentral) -> None:
    """Without an address in options and configuration, the error says how to give one."""
    with pytest.raises(IdentityError, match="--server URL"):
        enrol.enrol(installation.load_config(), central.token(), None, rotate=False)


@pytest.mark.parametrize(
    "url", ["http://backup.example.org", "http://192.0.2.1", "http://localhost.example.org", "http://[2001:db8::1]"]
)
def test_plain_http_is_refused(installation: Installation, url: str) -> None:
    """Beyond this machine TLS is required. The name decides, without a lookup."""
    with pytest.raises(ConfigError, match="plain http is refused"):
        client.Client(url, installation.load_config())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.9.8.7", "http://[::1]:80", "http://localhost:8000"])
def test_plain_http_on_loopback(installation: Installation, url: str) -> None:
    """On this machine plain http is allowed."""
    client.Client(url, installation.load_config())


def test_identity_is_one_json_object(installation: Installation, replica: Replica) -> None:
    """A person can read the identity, and the private key is not in it."""
    members = json.loads((installation.state / "identity.json").read_text())
    assert set(members) == {"server", "key", "name", "url", "central", "token"}
