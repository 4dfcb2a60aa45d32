"""Key, enrolment and token: made once, switched as a whole, refused when they are not what they must be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scanner.collector import config
from scanner.collector.delivery import client, enrol, enrolment_token, identity
from scanner.collector.delivery.client import RefusalError, UnreachableError, UntrustedReplyError
from scanner.collector.errors import ConfigError, IdentityError, TokenError
from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.installation import Installation


def test_made_once(tmp_path: Path) -> None:
    """The first call makes key and uuid, further ones find them; nobody else may read them."""
    first = identity.ensure_identity(tmp_path / "state")
    assert identity.ensure_identity(tmp_path / "state") == first and not first.enrolled
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()} == {
        "identity.json": 0o600,
        "key.pem": 0o600,
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"server":1,"key":"k"}', '{"server":"x","key":"k"}', '{"more":1}'])
def test_damaged_identity(tmp_path: Path, text: str) -> None:
    """An identity that cannot be read is an error, never a new identity: the chain would be torn."""
    (tmp_path / "identity.json").write_text(text)
    with pytest.raises(IdentityError):
        identity.ensure_identity(tmp_path)


def test_key_of_others(tmp_path: Path) -> None:
    """A key that is missing or open to others stops the collector."""
    own = identity.ensure_identity(tmp_path)
    (tmp_path / own.key).chmod(0o644)
    with pytest.raises(IdentityError, match="0600"):
        identity.load_key(tmp_path, own.key)
    (tmp_path / own.key).unlink()
    with pytest.raises(IdentityError, match="cannot read the key"):
        identity.load_key(tmp_path, own.key)


def test_interrupted_make_is_made_again(tmp_path: Path) -> None:
    """What a killed `init` left is used where it is whole and replaced where it is not."""
    (tmp_path / "key.pem.part").write_text("half")
    own = identity.ensure_identity(tmp_path)
    key = identity.load_key(tmp_path, own.key)
    (tmp_path / "identity.json").unlink()
    assert identity.load_key(tmp_path, identity.ensure_identity(tmp_path).key).keyid == key.keyid


def test_token(central: FakeCentral) -> None:
    """A token tells server, secret and fingerprint; one that lost or changed a character is none."""
    text = central.token()
    assert enrolment_token.parse_token(f" {text}\n") == enrolment_token.EnrolmentToken(
        central.server, "A" * 43, central.key.keyid
    )
    for at in range(len(text)):
        changed = "b" if text[at] != "b" else "c"
        with pytest.raises(TokenError):
            enrolment_token.parse_token(text[:at] + changed + text[at + 1 :])
        with pytest.raises(TokenError):
            enrolment_token.parse_token(text[:at] + text[at + 1 :])


def test_enrolment(installation: Installation, central: FakeCentral) -> None:
    """The first enrolment registers the key that `init` made, under the token's server, and keeps what is needed."""
    before = identity.ensure_identity(installation.state)
    installation.enrol(central)
    own = identity.load_enrolled_identity(installation.state)
    assert (own.server, own.name, own.url, own.token) == (central.server, "alpha", central.url, "first")
    assert own.central == central.key.public.hex() and own.key == before.key
    assert central.registered_key == identity.load_key(installation.state, own.key).public


def test_answer_lost(installation: Installation, central: FakeCentral) -> None:
    """An enrolment whose answer was lost is asked for again, with the same token and the same key."""
    central.faults = ["enrolment"]
    with pytest.raises(UnreachableError):
        installation.enrol(central)
    first = central.registered_key
    installation.enrol(central)
    assert central.registered_key == first


def test_rotation(installation: Installation, central: FakeCentral) -> None:
    """`--rotate` makes a new key and destroys the old one; without it an enrolled server is left alone."""
    installation.enrol(central)
    old, first = identity.load_enrolled_identity(installation.state), central.registered_key
    loaded = config.load_config(installation.conf)
    with pytest.raises(IdentityError, match="--rotate"):
        enrol.enrol(loaded, central.token(), None, rotate=False)
    new = enrol.enrol(loaded, central.token(), None, rotate=True)
    assert new.key != old.key and central.registered_key != first
    assert sorted(path.name for path in installation.state.glob("*.pem")) == [new.key]
    assert installation.run().exit_code == 0


def test_interrupted_rotation_goes_on(installation: Installation, central: FakeCentral) -> None:
    """A rotation whose answer was lost goes on with the key that it has registered; the old key works until then."""
    installation.enrol(central)
    loaded = config.load_config(installation.conf)
    central.faults = ["enrolment"]
    with pytest.raises(UnreachableError):
        enrol.enrol(loaded, central.token(), None, rotate=True)
    registered = central.registered_key
    identity.load_key(installation.state, identity.load_enrolled_identity(installation.state).key)
    new = enrol.enrol(loaded, central.token(), None, rotate=True)
    assert identity.load_key(installation.state, new.key).public == registered


def test_leftover_of_a_finished_rotation(installation: Installation, central: FakeCentral) -> None:
    """A new key that was adopted already is not offered a second time."""
    installation.enrol(central)
    loaded = config.load_config(installation.conf)
    new = enrol.enrol(loaded, central.token(), None, rotate=True)
    os.link(installation.state / new.key, installation.state / "key.new.pem")
    newer = enrol.enrol(loaded, central.token(), None, rotate=True)
    assert newer.key != new.key


def test_another_server(installation: Installation, central: FakeCentral) -> None:
    """A state folder speaks for one server: a token of another one is refused."""
    installation.enrol(central)
    central.server = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(IdentityError, match="another server"):
        enrol.enrol(config.load_config(installation.conf), central.token(), None, rotate=True)


def test_stranger(installation: Installation, central: FakeCentral, tmp_path: Path) -> None:
    """Who answers with another key than the one whose fingerprint the token has is not believed; nothing is kept."""
    (tmp_path / "other").mkdir()
    with FakeCentral(tmp_path / "other") as stranger:
        stranger.server = central.server
        with pytest.raises(RefusalError):  # its own check of the fingerprint
            enrol.enrol(installation.configure(server=stranger.url), central.token(), None, rotate=False)
        stranger.key.keyid = central.key.keyid
        with pytest.raises(UntrustedReplyError, match="not the central server"):
            enrol.enrol(installation.configure(server=stranger.url), central.token(), None, rotate=False)
    read = identity.read_identity(installation.state)
    assert read is not None and not read.enrolled


def test_wrong_secret(installation: Installation, central: FakeCentral) -> None:
    """A token that the central server does not take is told in its words."""
    installation.configure(server=central.url)
    text = central.token()
    central.server = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(RefusalError, match="401"):
        enrol.enrol(config.load_config(installation.conf), text, None, rotate=False)


def test_no_address(installation: Installation, central: FakeCentral) -> None:
    """Without an address on the command line or in the configuration there is a clear error."""
    with pytest.raises(IdentityError, match="--server URL"):
        enrol.enrol(config.load_config(installation.conf), central.token(), None, rotate=False)


@pytest.mark.parametrize(
    "url", ["http://backup.example.org", "http://192.0.2.1", "http://localhost.example.org", "http://[2001:db8::1]"]
)
def test_plain_http_is_refused(installation: Installation, url: str) -> None:
    """Beyond this machine there is only TLS; the name decides, no lookup."""
    with pytest.raises(ConfigError, match="plain http is refused"):
        client.Client(url, config.load_config(installation.conf))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.9.8.7", "http://[::1]:80", "http://localhost:8000"])
def test_plain_http_on_loopback(installation: Installation, url: str) -> None:
    """On this machine plain http may be."""
    client.Client(url, config.load_config(installation.conf))


def test_identity_is_one_json_object(installation: Installation, central: FakeCentral) -> None:
    """What is kept can be read by a person; the private key is not in it."""
    installation.enrol(central)
    members = json.loads((installation.state / "identity.json").read_text())
    assert set(members) == {"server", "key", "name", "url", "central", "token"}
