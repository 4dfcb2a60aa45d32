"""What can keep the system from starting. The message is one line that an operator can act on."""

from __future__ import annotations


class NotStarted(Exception):
    """Something is missing or in the way; the message says what, and where it can, what to do."""


class NoServiceUser(NotStarted):
    """The system user under which the services run cannot be found or made."""


class DatabaseNotStarted(NotStarted):
    """The embedded PostgreSQL cannot be found, set up or started."""


class StepFailed(NotStarted):
    """A step of the set-up ended with an error."""
