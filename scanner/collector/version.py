"""Name the collector's version, which every statement carries."""

from __future__ import annotations

VERSION = "0.1.0"
