"""Which engine does the work, and why."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Union

from scanner.collector.engines.base import Engine, Tool
from scanner.collector.engines.inprocess import HashlibEngine

Statement = Dict[str, Union[str, List[Tool]]]


class EngineChoice(NamedTuple):
    """An engine, with what is to be said of it."""

    engine: Engine
    wanted: str
    why: str

    def statement(self) -> Statement:
        """The choice as the statement of a run tells it."""
        return {"name": self.engine.name, "wanted": self.wanted, "why": self.why, "tools": self.engine.tools()}


def choose(wanted: str) -> EngineChoice:
    """The engine for `auto`, `native` or `hashlib`. Raises ValueError for any other word."""
    return EngineChoice(HashlibEngine(), wanted, "wanted")
