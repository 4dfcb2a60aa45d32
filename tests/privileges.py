"""Root may read and write everything: tests of what others may not do go on without those rights."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

NOBODY = 65534


@contextlib.contextmanager
def lowered() -> Iterator[None]:
    """Within it, a test that runs as root has the rights of nobody in particular."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
