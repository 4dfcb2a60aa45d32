"""Encode what two processes of the collector say to each other: marshalled tuples, each with its length before it.

Both ends are one program on one version of Python, and the pipe has no other writer. marshal is the fastest coding
there is for plain tuples, bytes and integers; it takes no subclasses of them.
"""

from __future__ import annotations

import marshal
import struct
from typing import Any, Iterator, Tuple

_LENGTH = struct.Struct("=I")


def encode_message(message: Tuple[Any, ...]) -> bytes:
    """Return a message as it goes through the pipe."""
    payload = marshal.dumps(message)
    return _LENGTH.pack(len(payload)) + payload


def take_messages(buffer: bytearray) -> Iterator[Tuple[Any, ...]]:
    """Yield the complete messages at the start of `buffer` and remove them from it."""
    start = 0
    while len(buffer) - start >= _LENGTH.size:
        payload_start = start + _LENGTH.size
        payload_end = payload_start + _LENGTH.unpack_from(buffer, start)[0]
        if len(buffer) < payload_end:
            # The rest has not arrived yet.
            break

        message: Tuple[Any, ...] = marshal.loads(buffer[payload_start:payload_end])  # noqa: S302 - our own child wrote it
        start = payload_end
        yield message

    # Once for all messages: each removal moves the rest of the buffer.
    del buffer[:start]
