"""Cut lists into pages by key: tokens that ask for the next page, and ranges of paths.

A token holds the key of the last row of a page, as text for an address. The next page begins behind that key, however
many rows came or went meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from scanner.errors import InvalidPageToken

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_SHOWN = 100
"""Characters of an invalid token that its error repeats."""

Row = TypeVar("Row")


class Page(NamedTuple, Generic[Row]):
    """A page of a list. `after` is the token of the next page; it is empty on the last one."""

    rows: list[Row]
    after: str


def cut_page(rows: list[Row], limit: int, key: Callable[[Row], Any]) -> Page[Row]:
    """Return the first `limit` of the rows as a page. The query asks for one row more, to know of a next page.

    `key` returns the key of a row, as JSON can hold it.
    """
    if len(rows) <= limit:
        return Page(rows, "")
    return Page(rows[:limit], page_token(key(rows[limit - 1])))


def key_behind(path: str) -> str:
    """Return the key of a page that begins behind a path: the first text that follows it, since no path holds NUL."""
    return path + "\x01"


def prefix_bounds(prefix: str) -> dict[str, str]:
    """Return the bounds of all paths that begin with `prefix`: `lower` is in the range, `upper` is the first beyond it.

    Both are missing for an empty prefix, and `upper` for a prefix that no text of Unicode can follow.
    """
    if not prefix:
        return {}

    bounds = {"lower": prefix}
    stem = prefix.rstrip("\U0010ffff")
    if stem:
        # The first text beyond the prefix: its last character, raised by one.
        code_point = ord(stem[-1]) + 1
        if code_point == 0xD800:
            code_point = 0xE000  # PostgreSQL stores no surrogates
        bounds["upper"] = stem[:-1] + chr(code_point)
    return bounds


def page_token(key: Any) -> str:
    """Return a key as text for an address."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def read_path_token(token: str) -> str:
    """Return the path in a token. Raise InvalidPageToken when there is none."""
    # What PostgreSQL cannot store as text would be an error of the query, and not of the address.
    key = _decode(token)
    if not isinstance(key, str) or "\0" in key or any("\ud800" <= character <= "\udfff" for character in key):
        raise InvalidPageToken(token[:_SHOWN])
    return key


def read_id_token(token: str) -> int:
    """Return the id of a row in a token. Raise InvalidPageToken when there is none."""
    key = _decode(token)
    if not _is_bigint(key):
        raise InvalidPageToken(token[:_SHOWN])
    return int(key)


def read_pair_token(token: str) -> tuple[int, int]:
    """Return the two numbers in a token. Raise InvalidPageToken when there are none."""
    key = _decode(token)
    if not isinstance(key, list) or len(key) != 2 or not all(map(_is_bigint, key)):
        raise InvalidPageToken(token[:_SHOWN])
    return key[0], key[1]


def read_size_token(token: str) -> dict[str, int]:
    """Return the key of a list by size: `size`, negated as in the index, and `id`. Raise InvalidPageToken."""
    size, pk = read_pair_token(token)
    return {"size": size, "id": pk}


def read_waste_token(token: str) -> dict[str, Any]:
    """Return the key of a list of duplicates: `waste`, `extra` and `sha256`. Raise InvalidPageToken.

    The numbers may be greater than a bigint holds: they are sums.
    """
    key = _decode(token)
    if not isinstance(key, list) or [type(part) for part in key] != [int, int, str]:
        raise InvalidPageToken(token[:_SHOWN])

    waste, extra, sha256 = key
    if not (0 <= waste < 2**127 and 0 <= extra < 2**63 and _DIGEST.match(sha256)):
        raise InvalidPageToken(token[:_SHOWN])
    return {"waste": waste, "extra": extra, "sha256": sha256}


def _decode(token: str) -> Any:
    try:
        return json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidPageToken(token[:_SHOWN]) from error


def _is_bigint(key: Any) -> bool:
    # `type` and not `isinstance`: a bool is an int.
    return type(key) is int and -(2**63) < key < 2**63
