"""Number the types of an entry.

A module of its own, which imports next to nothing, because each worker of the collector loads it.
"""

from __future__ import annotations

from enum import IntEnum


class EntryType(IntEnum):
    """Type of an entry. The numbers are stored in the collector's state and in the database; they have no order.

    Code that runs once an entry compares with a module constant such as `_FILE = EntryType.FILE.value` instead: to
    look up a member of an enum takes ten times as long as to compare two integers.
    """

    FILE = 1
    ERROR = 2
    LINK = 3
    SPECIAL = 4
