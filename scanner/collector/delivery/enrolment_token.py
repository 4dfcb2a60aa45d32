"""Read an enrolment token: the text that an administrator pastes on a server to introduce its collector."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from scanner.collector.errors import TokenError

_TOKEN = re.compile(
    r"(?P<body>bse1\.(?P<server>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(?P<secret>[A-Za-z0-9_-]{43})"
    r"\.(?P<central>[0-9a-f]{64}))\.(?P<checksum>[0-9a-f]{8})\Z"
)


class EnrolmentToken(NamedTuple):
    """Parts of a token."""

    server: str
    """Uuid of the server that enrols."""
    secret: str
    central: str
    """Keyid of the central server's key, by which the collector recognises it."""


def parse_token(text: str) -> EnrolmentToken:
    """Return the token in `text`. Raises TokenError for another text, or when a character was lost or changed."""
    match = _TOKEN.match(text.strip())
    if not match:
        raise TokenError(
            "this is no enrolment token: it must read bse1.SERVER.SECRET.FINGERPRINT.CHECKSUM; copy the whole token"
        )

    checksum = f"{zlib.crc32(match['body'].encode()):08x}"
    if checksum != match["checksum"]:
        raise TokenError("the enrolment token is damaged: copy it again, whole")
    return EnrolmentToken(match["server"], match["secret"], match["central"])
