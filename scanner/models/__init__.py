"""Define the tables: groups and replicas, servers and their keys, runs, history.

The docstring of a model names the modules that write its rows. Imported by everything that touches the database.
"""

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
