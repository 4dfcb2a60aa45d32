"""Write and read JSON of which each value has exactly one text.

What is signed or digested must have one form. JSON (RFC 8259) allows several, so both directions are strict here.
"""

from __future__ import annotations

import json
from typing import Any

from scanner.format.errors import RecordError


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: no spaces, keys in their order, escapes only where JSON demands them."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode_json(text: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raise RecordError for whatever has two meanings: a duplicate key, a float, NaN, a byte order mark, another encoding.
    """
    try:
        return json.loads(
            text.decode(), object_pairs_hook=_unique_keys, parse_float=_refuse_float, parse_constant=_refuse_float
        )
    # It is a ValueError, too, and says more than the next clause would.
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}"[:200]) from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RecordError("a key occurs twice")
    return members


def _refuse_float(text: str) -> Any:
    raise RecordError(f"not an integer: {text[:40]}")
