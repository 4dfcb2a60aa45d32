"""Ed25519 keys (RFC 8032): made, kept in a PKCS #8 file (RFC 8410), used to sign and to verify.

`cryptography` does the work; where a system has none, OpenSSL 3's `pkeyutl -rawin` does. Both give the same signatures.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import subprocess
import tempfile
from pathlib import Path

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    HAVE_CRYPTOGRAPHY = True
except ImportError:
    HAVE_CRYPTOGRAPHY = False

_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
_SPKI = bytes.fromhex("302a300506032b6570032100")
_P = 2**255 - 19
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})
"""The y of the eight points whose order divides 8: a signature under such a key holds for many messages."""


class SigningError(Exception):
    """A key cannot be made, read or used."""


class SigningKey:
    """A private key in its file. `path` is a PKCS #8 PEM file, mode 0600, owned by whoever uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seed = _read_seed(path)
        self.public = public_key(self._seed)
        self.keyid = keyid(self.public)

    @classmethod
    def create(cls, path: Path) -> SigningKey:
        """Make a key in a new file that is on disk when this returns; SigningError when the file exists or cannot be
        made."""
        body = base64.b64encode(_PKCS8 + os.urandom(32)).decode()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SigningError(f"cannot make the key {path}: {error.strerror}") from error
        return cls(path)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        if HAVE_CRYPTOGRAPHY:
            return ed25519.Ed25519PrivateKey.from_private_bytes(self._seed).sign(message)
        try:
            # Beside the key, which is where its owner can write: /tmp may be read-only to a service.
            with tempfile.NamedTemporaryFile(dir=self.path.parent) as data:
                data.write(message)
                data.flush()
                return _openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(self.path), "-in", data.name)
        except OSError as error:
            raise SigningError(f"cannot sign beside {self.path}: {error.strerror or error}") from error


def keyid(public: bytes) -> str:
    """Lower-case hex of the SHA-256 of the 32-byte public key: a name for the key, not a proof."""
    return hashlib.sha256(public).hexdigest()


def public_key(seed: bytes) -> bytes:
    """The 32-byte public key of a 32-byte private one."""
    if HAVE_CRYPTOGRAPHY:
        public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()
        return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", stdin=_PKCS8 + seed)[-32:]


def check_public_key(public: bytes) -> None:
    """Raise SigningError for a key that is not 32 bytes, not canonically coded, or of small order (RFC 8032, 5.1.3)."""
    if len(public) != 32:
        raise SigningError("a public key has 32 bytes")
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if y >= _P:
        raise SigningError("the public key is not coded canonically")
    if y in _SMALL_ORDER_Y:
        raise SigningError("the public key is weak: a point of small order")


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is the key's over `message`. A key that `check_public_key` refuses verifies nothing.

    SigningError when OpenSSL is needed and cannot be run, or has nowhere to read from.
    """
    try:
        check_public_key(public)
    except SigningError:
        return False
    if len(signature) != 64:
        return False
    return (
        _verify_here(public, signature, message) if HAVE_CRYPTOGRAPHY else _verify_openssl(public, signature, message)
    )


def _verify_here(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _verify_openssl(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        return _ask_openssl(public, signature, message)
    except OSError as error:
        raise SigningError(f"openssl cannot verify here: {error.strerror or error}; set TMPDIR") from error


def _ask_openssl(public: bytes, signature: bytes, message: bytes) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        names = {"key": _SPKI + public, "sig": signature, "data": message}
        files = {name: os.path.join(folder, name) for name in names}
        for name, content in names.items():
            Path(files[name]).write_bytes(content)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin"]
        command += ["-inkey", files["key"], "-sigfile", files["sig"], "-in", files["data"]]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False)
    except OSError as error:
        raise SigningError("signing needs the Python package cryptography, or OpenSSL 3 as `openssl`") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise SigningError(f"openssl cannot do Ed25519 here ({reason[0]}): install the Python package cryptography")
    return done.stdout


def _read_seed(path: Path) -> bytes:
    try:
        mode, owner = path.stat().st_mode, path.stat().st_uid
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SigningError(f"cannot read the key {path}: {error}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise SigningError(f"the key {path} can be read by others: its mode must be 0600")
    if owner not in (os.geteuid(), 0):
        raise SigningError(f"the key {path} belongs to another user")
    try:
        der = base64.b64decode(
            "".join(line for line in text.splitlines() if not line.startswith("-----")), validate=True
        )
    except ValueError as error:
        raise SigningError(f"{path} holds no key") from error
    if len(der) != len(_PKCS8) + 32 or not der.startswith(_PKCS8):
        raise SigningError(f"{path} holds no Ed25519 key")
    return der[-32:]
