"""Compare modification times of different replicas, each kept as precisely as its file system can.

FAT keeps times in steps of two seconds, ext3, HFS+ and many network file systems in whole seconds. A time that ends on
a whole second may have been cut there.
"""

from __future__ import annotations

SECOND_NS = 10**9
FAT_STEP_NS = 2 * SECOND_NS


def precision_ns(mtime_ns: int) -> int:
    """Return how much a modification time may have lost: two seconds, one, or nothing."""
    if mtime_ns % FAT_STEP_NS == 0:
        return FAT_STEP_NS
    if mtime_ns % SECOND_NS == 0:
        return SECOND_NS
    return 0


def is_same_time(first_ns: int | None, second_ns: int | None) -> bool:
    """Return whether two times may be one, kept by file systems of different precision. Unknown times are not."""
    if first_ns is None or second_ns is None:
        return False
    if first_ns == second_ns:
        return True
    # Whatever cut a time made it earlier, or, as Windows does, rounded it up to the next step.
    return abs(first_ns - second_ns) < max(precision_ns(first_ns), precision_ns(second_ns))


def is_no_later(first_ns: int | None, second_ns: int | None) -> bool:
    """Return whether the first time is no later than the second, as far as both are known."""
    if first_ns is None or second_ns is None:
        return True
    return first_ns <= second_ns or is_same_time(first_ns, second_ns)
