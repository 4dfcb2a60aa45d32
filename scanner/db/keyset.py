"""Keys of pages: where the next page of a list begins, as text that travels through an address; and ranges of paths."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class BadToken(ValueError):
    """What asks for the next page is not what a page gave."""


def bounds(prefix: str) -> dict[str, str]:
    """The bounds of all paths that begin with `prefix`."""
    if not prefix:
        return {}
    bounds, stem = {"lower": prefix}, prefix.rstrip("\U0010ffff")
    if stem:
        following = ord(stem[-1]) + 1
        bounds["upper"] = stem[:-1] + chr(0xE000 if following == 0xD800 else following)
    return bounds


def token(key: Any) -> str:
    """The key as text of an address."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def read_path(text: str) -> str:
    """The path in a token; BadToken when there is none."""
    key = _read(text)
    if not isinstance(key, str) or "\0" in key or any("\ud800" <= character <= "\udfff" for character in key):
        raise BadToken(text[:100])
    return key


def read_id(text: str) -> int:
    """The row's number in a token; BadToken when there is none."""
    key = _read(text)
    if not _is_number(key):
        raise BadToken(text[:100])
    return int(key)


def read_pair(text: str) -> tuple[int, int]:
    """The two numbers in a token; BadToken when there are none."""
    key = _read(text)
    if not isinstance(key, list) or len(key) != 2 or not all(map(_is_number, key)):
        raise BadToken(text[:100])
    return key[0], key[1]


def read_size(text: str) -> dict[str, int]:
    """The place in a list by size: `size`, negated as the index has it, and `id`; BadToken when there is none."""
    size, pk = read_pair(text)
    return {"size": size, "id": pk}


def read_waste(text: str) -> dict[str, Any]:
    """The place in a list of contents by what they waste: `waste`, `extra` and `sha256`; BadToken when there is none.

    The numbers may be greater than what a column holds: they are sums.
    """
    key = _read(text)
    if not isinstance(key, list) or [type(part) for part in key] != [int, int, str]:
        raise BadToken(text[:100])
    waste, extra, sha256 = key
    if not (0 <= waste < 2**127 and 0 <= extra < 2**63 and _DIGEST.match(sha256)):
        raise BadToken(text[:100])
    return {"waste": waste, "extra": extra, "sha256": sha256}


def _read(text: str) -> Any:
    try:
        return json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise BadToken(text[:100]) from error


def _is_number(key: Any) -> bool:
    return type(key) is int and -(2**63) < key < 2**63
