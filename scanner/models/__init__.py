"""Store what the central server knows. Which module writes a table stands in its docstring."""

from scanner.models.groups import Group, Replica, Scope
from scanner.models.history import Note, Version
from scanner.models.runs import Equivocation, Progress, Run
from scanner.models.servers import EnrolmentToken, Server, ServerKey, ServerToken, Usage

__all__ = [
    "EnrolmentToken",
    "Equivocation",
    "Group",
    "Note",
    "Progress",
    "Replica",
    "Run",
    "Scope",
    "Server",
    "ServerKey",
    "ServerToken",
    "Usage",
    "Version",
]
