"""Describe the checksum tools of the systems: where they are, how they are called, what they print, what to trust.

A profile is one object with everything about one kind of tool. To add one, add an object here, list it in PROFILES, and
give it a row in `tests/scanner/collector/engines/test_native_engine.py`.

A profile is a claim. `self_test` holds each tool to it before the tool does any work. Tools stand under absolute paths:
what a user's PATH leads to may be anybody's.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import List, NamedTuple, Optional, Tuple

from scanner.collector.engines.base import ALGORITHMS

_HEX_DIGITS = {"sha256": 64, "md5": 32}


class Platform(Enum):
    """A family of systems that have the same tools."""

    LINUX = "linux"
    """Linux, and every system that has no member of its own."""
    MACOS = "darwin"
    FREEBSD = "freebsd"
    OPENBSD = "openbsd"
    SUNOS = "sunos"


class Role(Enum):
    """When a tool is used."""

    OWN = "own"
    """The platform's own tool."""
    FASTER = "faster"
    """Replaces the own tool only when it is much faster."""


class Location(NamedTuple):
    """A place where a tool may be."""

    path: str
    """Absolute. `{algorithm}` stands for the algorithm's name."""
    platforms: Tuple[Platform, ...]
    role: Role = Role.OWN
    algorithms: Tuple[str, ...] = ALGORITHMS


class ToolProfile(NamedTuple):
    """Everything about one kind of tool.

    In arguments and paths, `{algorithm}` stands for `sha256` or `md5`.
    """

    id: str
    """Name in the statement."""
    locations: Tuple[Location, ...]
    """The preferred one first."""
    stdin_arguments: Tuple[str, ...]
    """Arguments with which it reads its standard input."""
    batch_arguments: Optional[Tuple[str, ...]] = None
    """Arguments before a list of absolute paths. None: it must not be given a list."""
    record: bytes = b""
    """Regular expression of a whole record of a batch.

    The groups `%(name)s` and `%(digest)s` are the path and the digest; `%(algorithm)s` and `%(ALGORITHM)s` are the
    algorithm's name in lower and upper case.
    """
    record_end: bytes = b"\n"
    """NUL where names are printed as they are, so that one may hold a newline or a backslash."""
    max_files: int = 256
    """Most paths in one call."""
    max_path: int = 4096
    """A path of this many bytes or more is never an operand."""
    version_arguments: Tuple[str, ...] = ()
    """Arguments with which it prints its version. Empty: it cannot."""
    gives_all_digests: bool = False
    """Whether one call gives the digests of all algorithms."""

    @property
    def takes_any_name(self) -> bool:
        """Return whether a name may hold control characters and backslashes."""
        return self.record_end == b"\0"


class ToolCommand(NamedTuple):
    """A tool at its path, with the algorithms that one call of it computes."""

    path: str
    profile: ToolProfile
    algorithms: Tuple[str, ...]

    def stdin_command(self) -> List[str]:
        """Return the command that reads standard input."""
        return [self.path, *self._fill(self.profile.stdin_arguments)]

    def batch_command(self) -> List[str]:
        """Return the command to which absolute paths are to be appended."""
        return [self.path, *self._fill(self.profile.batch_arguments or ())]

    def record_expressions(self) -> Tuple[bytes, ...]:
        """Return the regular expression of a whole record, with the groups `name` and `digest`, for each algorithm."""
        return tuple(
            self.profile.record
            % {
                b"name": b"(?P<name>.*)",
                b"digest": b"(?P<digest>%s)" % digest_expression(algorithm),
                b"algorithm": algorithm.encode(),
                b"ALGORITHM": algorithm.upper().encode(),
            }
            for algorithm in self.algorithms
        )

    def _fill(self, arguments: Tuple[str, ...]) -> List[str]:
        return [argument.format(algorithm=self.algorithms[0]) for argument in arguments]


class ToolCatalogue(NamedTuple):
    """The tools to look for, the preferred first."""

    own: List[ToolCommand]
    faster: List[ToolCommand]


def digest_expression(algorithm: str) -> bytes:
    """Return a regular expression of a digest in lower-case hex."""
    return b"[0-9a-f]{%d}" % _HEX_DIGITS[algorithm]


_GNU_RECORD = rb"%(digest)s [ *]%(name)s"
_BSD_MAX_PATH = 1024

GNU_Z = ToolProfile(
    id="gnu-z",
    locations=(
        Location("/usr/bin/{algorithm}sum", (Platform.LINUX, Platform.SUNOS)),
        Location("/bin/{algorithm}sum", (Platform.LINUX, Platform.SUNOS)),
        Location("/usr/gnu/bin/{algorithm}sum", (Platform.LINUX, Platform.SUNOS)),
    ),
    stdin_arguments=(),
    batch_arguments=("-z", "--"),
    record=_GNU_RECORD,
    record_end=b"\0",
    version_arguments=("--version",),
)
"""GNU coreutils from 8.30 on, uutils from 0.0.18 on: records end in NUL, names are not escaped."""

GNU_LF = ToolProfile(
    id="gnu-lf",
    locations=GNU_Z.locations,
    stdin_arguments=(),
    batch_arguments=("--",),
    record=_GNU_RECORD,
    version_arguments=("--version",),
)
"""Older GNU coreutils and uutils, busybox, toybox: records end in a newline, odd names are escaped or ambiguous."""

BSD_Z = ToolProfile(
    id="bsd-z",
    locations=(Location("/sbin/{algorithm}sum", (Platform.FREEBSD, Platform.MACOS)),),
    stdin_arguments=(),
    batch_arguments=("-z", "--"),
    record=_GNU_RECORD,
    record_end=b"\0",
    max_path=_BSD_MAX_PATH,
)
"""`sha256sum` and `md5sum` of FreeBSD from 14.0 on and macOS from 15 on: like GNU's with -z, for shorter paths."""

BSD_TAG = ToolProfile(
    id="bsd-tag",
    locations=(Location("/sbin/{algorithm}", (Platform.FREEBSD, Platform.MACOS)),),
    stdin_arguments=("-q",),
    batch_arguments=("--",),
    record=rb"%(ALGORITHM)s \(%(name)s\) = %(digest)s",
    max_path=_BSD_MAX_PATH,
)
"""`sha256` and `md5` of FreeBSD, `md5` of macOS."""

OPENBSD = ToolProfile(
    id="openbsd",
    locations=(Location("/bin/cksum", (Platform.OPENBSD,)),),
    stdin_arguments=("-q", "-a", "sha256", "-a", "md5"),
    batch_arguments=("-a", "sha256", "-a", "md5", "--"),
    record=rb"%(ALGORITHM)s \(%(name)s\) = %(digest)s",
    max_path=_BSD_MAX_PATH,
    gives_all_digests=True,
)
"""cksum(1) of OpenBSD: both digests from one read."""

DIGEST = ToolProfile(
    id="digest",
    locations=(Location("/usr/bin/digest", (Platform.SUNOS,)),),
    stdin_arguments=("-a", "{algorithm}"),
    batch_arguments=("-v", "-a", "{algorithm}"),
    record=rb"%(algorithm)s \(%(name)s\) = %(digest)s",
    # It leaks a descriptor for each file that it cannot read, and 256 is a common limit.
    max_files=100,
)
"""digest(1) of illumos and Solaris."""

OPENSSL = ToolProfile(
    id="openssl",
    locations=(
        Location("/usr/bin/openssl", (Platform.LINUX, Platform.FREEBSD, Platform.OPENBSD, Platform.SUNOS), Role.FASTER),
        # Every macOS has md5; older ones have no SHA-256 of their own.
        Location("/usr/bin/openssl", (Platform.MACOS,), algorithms=("sha256",)),
    ),
    stdin_arguments=("dgst", "-{algorithm}", "-r"),
    batch_arguments=("dgst", "-{algorithm}", "-r"),
    record=rb"%(digest)s \*%(name)s",
    version_arguments=("version",),
)
"""`openssl dgst` of OpenSSL and LibreSSL, in the form that names the file behind the digest."""

SHASUM = ToolProfile(
    id="shasum",
    locations=(Location("/usr/bin/shasum", (Platform.MACOS,), algorithms=("sha256",)),),
    stdin_arguments=("-a", "256"),
    version_arguments=("--version",),
)
"""Perl's shasum. After a read error it prints the digest of what it had read, and exits with 0: no list for it."""

PROFILES = (GNU_Z, GNU_LF, BSD_Z, BSD_TAG, OPENBSD, DIGEST, OPENSSL, SHASUM)
"""All profiles. On each platform the first one that fits is preferred."""


def find_platform(name: str = sys.platform) -> Platform:
    """Return the platform of a name such as those of `sys.platform`."""
    for platform in Platform:
        if name.startswith(platform.value):
            return platform
    return Platform.LINUX


def catalogue(platform: Platform) -> ToolCatalogue:
    """Return the tools of a platform."""
    tools = ToolCatalogue([], [])
    for profile in PROFILES:
        for location in profile.locations:
            if platform in location.platforms:
                commands = tools.own if location.role is Role.OWN else tools.faster
                commands.extend(_commands_at(location, profile))
    return tools


def _commands_at(location: Location, profile: ToolProfile) -> List[ToolCommand]:
    if profile.gives_all_digests:
        return [ToolCommand(location.path, profile, location.algorithms)]
    return [
        ToolCommand(location.path.format(algorithm=algorithm), profile, (algorithm,))
        for algorithm in location.algorithms
    ]
