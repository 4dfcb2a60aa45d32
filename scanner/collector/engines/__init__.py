"""The engines that compute digests, and the choice among them."""

from __future__ import annotations

from scanner.collector.engines.base import Engine
from scanner.collector.engines.choice import EngineChoice, choose

__all__ = ["Engine", "EngineChoice", "choose"]
