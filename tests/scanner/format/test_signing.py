"""Keys and signatures, by the package cryptography and by OpenSSL's program, against each other and RFC 8032."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from scanner.format import signing
from scanner.format.errors import SigningError
from scanner.format.signing import SigningKey

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl program")

SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
"""RFC 8032, 7.1, test 2: of the message 72."""

SMALL_ORDER_KEYS = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
"""Points whose order divides 8."""
NOT_CANONICAL_KEYS = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
"""Points whose y is not smaller than the field's prime."""


@pytest.fixture(params=[pytest.param(True, id="cryptography"), pytest.param(False, id="openssl", marks=needs_openssl)])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two implementations of Ed25519."""
    monkeypatch.setattr(signing, "HAVE_CRYPTOGRAPHY", request.param)


@pytest.fixture
def only_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without the package cryptography."""
    monkeypatch.setattr(signing, "HAVE_CRYPTOGRAPHY", False)


@pytest.mark.usefixtures("implementation")
def test_known_answer() -> None:
    """Both implementations know the RFC's public key and signature."""
    assert signing.derive_public_key(SEED) == PUBLIC
    assert signing.verify(PUBLIC, SIGNATURE, b"\x72")
    assert not signing.verify(PUBLIC, SIGNATURE, b"\x73")


@pytest.mark.usefixtures("implementation")
def test_sign_and_verify(tmp_path: Path) -> None:
    """A signature holds for its own message and key, and for no other."""
    key = SigningKey.create(tmp_path / "key")
    signature = key.sign(b"message")
    assert signing.verify(key.public, signature, b"message")
    assert not signing.verify(key.public, signature, b"other")
    assert not signing.verify(key.public, signature[:-1] + bytes([signature[-1] ^ 1]), b"message")
    assert not signing.verify(key.public, signature[:-1], b"message")
    assert not signing.verify(PUBLIC, signature, b"message")


@needs_openssl
def test_implementations_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both implementations give the same key and the same signature."""
    key = SigningKey.create(tmp_path / "key")
    signature = key.sign(b"message")
    monkeypatch.setattr(signing, "HAVE_CRYPTOGRAPHY", False)
    key_of_openssl = SigningKey(tmp_path / "key")
    assert key_of_openssl.public == key.public
    assert key_of_openssl.sign(b"message") == signature


@pytest.mark.usefixtures("only_openssl")
def test_no_implementation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package and without the program there is one clear error."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SigningError, match="cryptography, or OpenSSL 3"):
        SigningKey.create(tmp_path / "key")


@pytest.mark.usefixtures("only_openssl")
def test_openssl_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An openssl without Ed25519 is reported in its own words."""
    program = tmp_path / "openssl"
    program.write_text("#!/bin/sh\necho 'unknown option -rawin' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SigningError, match="unknown option -rawin"):
        SigningKey.create(tmp_path / "key")


def test_key_file(tmp_path: Path) -> None:
    """A key's file is its owner's alone, is never overwritten, and gives the same key again."""
    path = tmp_path / "key"
    key = SigningKey.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SigningError, match="cannot make"):
        SigningKey.create(path)
    assert SigningKey(path).keyid == key.keyid == signing.keyid(key.public)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (None, 0o600, "cannot read the key"),
        ("", 0o600, "no Ed25519 key"),
        ("-----BEGIN PRIVATE KEY-----\n!!\n", 0o600, "holds no key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n", 0o600, "no Ed25519 key"),
        ("anything", 0o640, "can be read by others"),
        ("anything", 0o604, "can be read by others"),
    ],
)
def test_refused_key_files(tmp_path: Path, content: str | None, mode: int, message: str) -> None:
    """A key that is missing, damaged or open to others is refused with its reason."""
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(SigningError, match=message):
        SigningKey(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_key_file_of_another_user(tmp_path: Path) -> None:
    """A key that belongs to another user is refused."""
    path = tmp_path / "key"
    SigningKey.create(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(SigningError, match="another user"):
        SigningKey(path)


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize("public", SMALL_ORDER_KEYS + NOT_CANONICAL_KEYS)
def test_weak_keys(public: str) -> None:
    """A point of small order, or one that is not coded canonically, is no key and verifies nothing."""
    with pytest.raises(SigningError):
        signing.check_public_key(bytes.fromhex(public))
    identity_point = b"\x01" + bytes(31)
    assert not signing.verify(bytes.fromhex(public), identity_point + bytes(32), b"any message")


def test_length_of_a_key() -> None:
    """A public key has 32 bytes."""
    with pytest.raises(SigningError, match="32 bytes"):
        signing.check_public_key(PUBLIC + b"\0")
    signing.check_public_key(PUBLIC)


def test_openssl_needs_no_tmp_to_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL signs beside the key; where that cannot be written, a SigningError says so."""
    key = SigningKey.create(tmp_path / "key.pem")
    expected = key.sign(b"words")
    monkeypatch.setattr(signing, "HAVE_CRYPTOGRAPHY", False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert key.sign(b"words") == expected
    with pytest.raises(SigningError, match="TMPDIR"):
        signing.verify(key.public, expected, b"words")

    key.path = tmp_path / "missing" / "key.pem"
    with pytest.raises(SigningError, match="cannot sign"):
        key.sign(b"words")
