"""Exceptions of a system that cannot start. Each message is one line that an operator can act on."""

from __future__ import annotations


class NotStarted(Exception):
    """Something is missing or in the way. The message says what it is and, where possible, what to do."""


class NoServiceUser(NotStarted):
    """The system user under which the services run cannot be found or created."""


class PortTaken(NotStarted):
    """Another program listens on the port."""


class DatabaseNotStarted(NotStarted):
    """The embedded PostgreSQL cannot be found, set up or started."""


class StepFailed(NotStarted):
    """A step of the set-up ended with an error."""
