"""Define what can stop the collector. Each message is one line: what happened, to what, and what to do."""

from __future__ import annotations


class CollectorError(Exception):
    """Something is missing, wrong or in the way. Nothing was lost."""


class ConfigError(CollectorError):
    """The configuration file or the command line cannot be used as it is."""


class IdentityError(CollectorError):
    """The state directory has no usable key or enrolment."""


class TokenError(CollectorError):
    """The text is no enrolment token."""


class UnsafeStateError(CollectorError):
    """Other users can change the state directory."""


class LockedError(CollectorError):
    """Another collector is working in this state directory."""


class StorageError(CollectorError):
    """The state directory or the output directory cannot be written: it is full, read-only or failing."""


class OutputError(CollectorError):
    """Standard output cannot be written: it is closed, full, or its reader is gone."""


class ChainError(CollectorError):
    """The next report has no certain place in its replica's chain, or the central server holds another report there."""


class Interrupted(BaseException):
    """A signal asked the collector to end. No part of the collector may treat this as a failure of its own work."""
