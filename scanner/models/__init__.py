"""What the central server knows. Which module writes a table stands in its docstring."""

from scanner.models.groups import Group, Replica
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
    "Server",
    "ServerKey",
    "ServerToken",
    "Usage",
    "Version",
]
