"""Make, keep and use Ed25519 keys (RFC 8032) in PKCS #8 files (RFC 8410).

The package cryptography does the work. Where a system has none, `pkeyutl -rawin` of OpenSSL 3 does. Both give the same
signatures, because Ed25519 is deterministic.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import subprocess
import tempfile
from pathlib import Path

from scanner.format.errors import SigningError

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    HAVE_CRYPTOGRAPHY = True
except ImportError:
    HAVE_CRYPTOGRAPHY = False

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64

_PKCS8_PREFIX = bytes.fromhex("302e020100300506032b657004220420")
"""DER of a PrivateKeyInfo with the algorithm Ed25519 up to the 32 bytes of the key (RFC 8410, section 7)."""
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""DER of a SubjectPublicKeyInfo with the algorithm Ed25519 up to the 32 bytes of the key (RFC 8410, section 4)."""

_P = 2**255 - 19
"""The prime of the field (RFC 8032, section 5.1)."""
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})
"""The y of the eight points whose order divides 8. A signature under such a key holds for many messages."""


class SigningKey:
    """A private key in a PKCS #8 PEM file of mode 0600 that belongs to the user of the process, or to root."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raise SigningError when the file is missing, damaged or open to others."""
        self.path = path
        self._seed = _read_seed(path)
        self.public = derive_public_key(self._seed)
        self.keyid = keyid(self.public)

    @classmethod
    def create(cls, path: Path) -> SigningKey:
        """Make a key in a new file. Its content is on disk when this returns; the caller synchronises the directory.

        Raise SigningError when the file exists or cannot be made.
        """
        body = base64.b64encode(_PKCS8_PREFIX + os.urandom(_KEY_BYTES)).decode()
        try:
            # O_EXCL: no key replaces another one.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SigningError(f"cannot make the key {path}: {error.strerror}") from error
        return cls(path)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of a message."""
        if HAVE_CRYPTOGRAPHY:
            return ed25519.Ed25519PrivateKey.from_private_bytes(self._seed).sign(message)

        try:
            # Beside the key, where its owner can write: /tmp may be read-only for a service.
            with tempfile.NamedTemporaryFile(dir=self.path.parent) as file:
                file.write(message)
                file.flush()
                return _run_openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(self.path), "-in", file.name)
        except OSError as error:
            raise SigningError(f"cannot sign beside {self.path}: {error.strerror or error}") from error


def keyid(public: bytes) -> str:
    """Return the SHA-256 of the 32-byte public key in lower-case hex: a name for the key, not a proof."""
    return hashlib.sha256(public).hexdigest()


def derive_public_key(seed: bytes) -> bytes:
    """Return the 32-byte public key of a 32-byte private key."""
    if HAVE_CRYPTOGRAPHY:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()
        return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    der = _run_openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", stdin=_PKCS8_PREFIX + seed)
    return der[-_KEY_BYTES:]


def check_public_key(public: bytes) -> None:
    """Raise SigningError for a key that is not 32 bytes, not coded canonically (RFC 8032, 5.1.3) or of small order."""
    if len(public) != _KEY_BYTES:
        raise SigningError("a public key has 32 bytes")

    # The highest bit is the sign of x.
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if y >= _P:
        raise SigningError("the public key is not coded canonically")
    if y in _SMALL_ORDER_Y:
        raise SigningError("the public key is weak: a point of small order")


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether the signature is the key's for this message. A key that `check_public_key` refuses has none.

    Raise SigningError when OpenSSL is needed and cannot be run, or has no directory to read from.
    """
    # Libraries differ in which weak keys they refuse. Refused here, they are refused everywhere.
    try:
        check_public_key(public)
    except SigningError:
        return False
    if len(signature) != _SIGNATURE_BYTES:
        return False

    if HAVE_CRYPTOGRAPHY:
        return _verify_by_cryptography(public, signature, message)
    return _verify_by_openssl(public, signature, message)


def _verify_by_cryptography(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _verify_by_openssl(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        with tempfile.TemporaryDirectory() as directory:
            key_file = Path(directory, "key")
            key_file.write_bytes(_SPKI_PREFIX + public)
            signature_file = Path(directory, "signature")
            signature_file.write_bytes(signature)
            message_file = Path(directory, "message")
            message_file.write_bytes(message)

            command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin"]
            command += ["-inkey", str(key_file), "-sigfile", str(signature_file), "-in", str(message_file)]
            process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            return process.returncode == 0
    except OSError as error:
        raise SigningError(f"openssl cannot verify here: {error.strerror or error}; set TMPDIR") from error


def _run_openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    try:
        process = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False)
    except OSError as error:
        raise SigningError("signing needs the Python package cryptography, or OpenSSL 3 as `openssl`") from error

    if process.returncode:
        lines = process.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise SigningError(f"openssl cannot do Ed25519 here ({lines[-1]}): install the Python package cryptography")
    return process.stdout


def _read_seed(path: Path) -> bytes:
    try:
        status = path.stat()
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SigningError(f"cannot read the key {path}: {error}") from error

    # A key that others could read may be known to them: better no report than one that proves nothing.
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise SigningError(f"the key {path} can be read by others: its mode must be 0600")
    if status.st_uid not in (os.geteuid(), 0):
        raise SigningError(f"the key {path} belongs to another user")

    base64_lines = [line for line in text.splitlines() if not line.startswith("-----")]
    try:
        der = base64.b64decode("".join(base64_lines), validate=True)
    except ValueError as error:
        raise SigningError(f"{path} holds no key") from error
    if len(der) != len(_PKCS8_PREFIX) + _KEY_BYTES or not der.startswith(_PKCS8_PREFIX):
        raise SigningError(f"{path} holds no Ed25519 key")
    return der[-_KEY_BYTES:]
