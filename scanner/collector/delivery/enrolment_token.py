"""The enrolment token: what an administrator pastes on a server so that its collector and the central server meet."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from scanner.collector.errors import TokenError

_FORM = re.compile(
    r"(?P<body>bse1\.(?P<server>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(?P<secret>[A-Za-z0-9_-]{43})"
    r"\.(?P<central>[0-9a-f]{64}))\.(?P<crc>[0-9a-f]{8})\Z"
)


class EnrolmentToken(NamedTuple):
    """A token taken apart: the server's uuid, the secret, and the keyid of the central server's key."""

    server: str
    secret: str
    central: str


def parse_token(text: str) -> EnrolmentToken:
    """The token in `text`; TokenError when it is none, or when a character was lost on the way."""
    match = _FORM.match(text.strip())
    if not match:
        raise TokenError("this is no enrolment token: it reads bse1.SERVER.SECRET.FINGERPRINT.CHECKSUM")
    if f"{zlib.crc32(match['body'].encode()):08x}" != match["crc"]:
        raise TokenError("the enrolment token is damaged: copy it again, whole")
    return EnrolmentToken(match["server"], match["secret"], match["central"])
