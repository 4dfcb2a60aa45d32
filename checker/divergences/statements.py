"""Give the SQL statements of this directory by name, and the parameters that several of them share."""

from __future__ import annotations

from typing import Any

from scanner.db.sql import load_statements
from scanner.format.entry_type import EntryType

statement = load_statements(__file__)

ENTRY_TYPES: dict[str, Any] = {entry_type.name.lower(): entry_type.value for entry_type in EntryType}
"""The types of entries, as the statements call them."""
