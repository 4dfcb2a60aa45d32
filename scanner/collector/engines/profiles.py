"""The checksum tools of the systems, by what they print and what they can be trusted with.

A profile is a claim; `probe` holds each tool to it before the tool does any work. Tools stand under absolute paths:
what a user's PATH leads to may be anybody's.
"""

from __future__ import annotations

import sys
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from scanner.collector.engines.base import ALGORITHMS

HEX_DIGITS = {"sha256": 64, "md5": 32}


class Profile(NamedTuple):
    """How a kind of tool is called and what it answers."""

    id: str
    algorithms: Tuple[str, ...]
    stdin: Tuple[str, ...]
    """The arguments with which it reads its standard input."""
    batch: Optional[Tuple[str, ...]] = None
    """The arguments before a list of absolute paths; None when it must not be given one."""
    records: Tuple[bytes, ...] = ()
    """For each algorithm a regular expression of a whole record, with the groups `name` and `digest`."""
    delimiter: bytes = b"\n"
    max_files: int = 256
    max_path: int = 4096
    """A path of this many bytes or more is not given as an operand."""
    version: Tuple[str, ...] = ()
    """The arguments with which it tells its version; none when it cannot."""

    @property
    def any_name(self) -> bool:
        """Whether records end in NUL, so that a name may hold a newline and is not escaped."""
        return self.delimiter == b"\0"


class Candidate(NamedTuple):
    """A tool that may be there."""

    path: str
    profile: Profile


class Catalogue(NamedTuple):
    """What to look for, the preferred first."""

    own: List[Candidate]
    """The platform's own tools."""
    fast: List[Candidate]
    """Tools that replace the own ones only when they are much faster."""


def _records(
    pattern: bytes, algorithms: Tuple[str, ...], names: Optional[Dict[str, bytes]] = None
) -> Tuple[bytes, ...]:
    return tuple(
        pattern % {b"digest": b"(?P<digest>[0-9a-f]{%d})" % HEX_DIGITS[name], b"label": (names or {}).get(name, b"")}
        for name in algorithms
    )


_GNU = rb"%(digest)s [ *](?P<name>.*)"
_BSD = rb"%(label)s \((?P<name>.*)\) = %(digest)s"
_OPENSSL = rb"%(digest)s \*(?P<name>.*)"
_UPPER = {"sha256": b"SHA256", "md5": b"MD5"}
_LOWER = {"sha256": b"sha256", "md5": b"md5"}
_BSD_PATH = 1024


def gnu_z(algorithm: str) -> Profile:
    """GNU coreutils from 8.30, uutils from 0.0.18: records end in NUL, names are not escaped."""
    own = (algorithm,)
    return Profile("gnu-z", own, (), ("-z", "--"), _records(_GNU, own), b"\0", version=("--version",))


def gnu_lf(algorithm: str) -> Profile:
    """Older GNU coreutils and uutils, busybox, toybox: records end in a newline, odd names are escaped or ambiguous."""
    own = (algorithm,)
    return Profile("gnu-lf", own, (), ("--",), _records(_GNU, own), version=("--version",))


def bsd_z(algorithm: str) -> Profile:
    """`sha256sum` and `md5sum` of FreeBSD from 14.0 and macOS from 15: as GNU's with -z, paths below 1024 bytes."""
    own = (algorithm,)
    return Profile("bsd-z", own, (), ("-z", "--"), _records(_GNU, own), b"\0", max_path=_BSD_PATH)


def bsd_tag(algorithm: str) -> Profile:
    """`sha256` and `md5` of FreeBSD, `md5` of macOS."""
    own = (algorithm,)
    return Profile("bsd-tag", own, ("-q",), ("--",), _records(_BSD, own, _UPPER), max_path=_BSD_PATH)


def digest(algorithm: str) -> Profile:
    """The tool of illumos and Solaris. It leaks a descriptor for each operand that it fails to read."""
    own = (algorithm,)
    arguments = ("-a", algorithm)
    return Profile("digest", own, arguments, ("-v", *arguments), _records(_BSD, own, _LOWER), max_files=100)


def openssl(algorithm: str) -> Profile:
    """`openssl dgst` of OpenSSL and LibreSSL, in the form that names the file behind the digest."""
    own = (algorithm,)
    arguments = ("dgst", f"-{algorithm}", "-r")
    return Profile("openssl", own, arguments, arguments, _records(_OPENSSL, own), version=("version",))


OPENBSD = Profile(
    "openbsd",
    ALGORITHMS,
    ("-q", "-a", "sha256", "-a", "md5"),
    ("-a", "sha256", "-a", "md5", "--"),
    _records(_BSD, ALGORITHMS, _UPPER),
    max_path=_BSD_PATH,
)
"""cksum(1) of OpenBSD: both digests of one read."""

SHASUM = Profile("shasum", ("sha256",), ("-a", "256"), version=("--version",))
"""Perl's shasum gives the digest of what it read before an error, and exits 0: only where the offset is checked."""


def _sums(folder: str, profile: Callable[[str], Profile]) -> List[Candidate]:
    return [Candidate(f"{folder}/{name}sum", profile(name)) for name in ALGORITHMS]


def _plain(folder: str) -> List[Candidate]:
    return [Candidate(f"{folder}/{name}", bsd_tag(name)) for name in ALGORITHMS]


def catalogue(platform: str = sys.platform) -> Catalogue:
    """The tools of a platform, named as `sys.platform` names it."""
    fast = [Candidate("/usr/bin/openssl", openssl(name)) for name in ALGORITHMS]
    if platform.startswith("openbsd"):
        return Catalogue([Candidate("/bin/cksum", OPENBSD)], fast)
    if platform.startswith("freebsd"):
        return Catalogue([*_sums("/sbin", bsd_z), *_plain("/sbin")], fast)
    if platform == "darwin":
        old = [Candidate("/usr/bin/openssl", openssl("sha256")), Candidate("/usr/bin/shasum", SHASUM)]
        return Catalogue([*_sums("/sbin", bsd_z), *_plain("/sbin"), *old], [])
    gnu = [
        candidate
        for profile in (gnu_z, gnu_lf)
        for folder in ("/usr/bin", "/bin", "/usr/gnu/bin")
        for candidate in _sums(folder, profile)
    ]
    if platform.startswith("sunos"):
        return Catalogue([*gnu, *(Candidate("/usr/bin/digest", digest(name)) for name in ALGORITHMS)], fast)
    return Catalogue(gnu, fast)
