"""JSON that two readers could read in two ways is refused."""

from __future__ import annotations

import pytest

from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.errors import RecordError


def test_round_trip() -> None:
    """A value has one text, without spaces and needless escapes, and the text gives the value again."""
    value = {"b": [1, "é", None], "a": True}
    text = '{"b":[1,"é",null],"a":true}'
    assert canonical_json(value) == text
    assert decode_json(text.encode()) == value


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":1}', b"[1.5]", b"[NaN]", b"[1e3]", b"\xff", b"[" * 100000, b"{", b'["\xed\xa0\x80"]']
)
def test_refused_texts(text: bytes) -> None:
    """Duplicate keys, floats, other encodings and endless nesting are refused."""
    with pytest.raises(RecordError):
        decode_json(text)
