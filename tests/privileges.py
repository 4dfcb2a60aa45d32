"""Give up the rights of root for a while: root may read and write what others may not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

NOBODY = 65534


@contextlib.contextmanager
def without_root() -> Iterator[None]:
    """Give a test that runs as root the rights of an ordinary user for a block."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
