"""The collector's version; it stands in every statement."""

from __future__ import annotations

VERSION = "0.1.0"
