"""What can keep the collector from doing its work. Each message is one line that an administrator can act on."""

from __future__ import annotations


class CollectorError(Exception):
    """Something is missing, wrong or in the way; nothing was lost."""


class ConfigError(CollectorError):
    """The configuration file cannot be read, or one of its keys has a wrong value."""


class IdentityError(CollectorError):
    """The state folder has no usable key or enrolment."""


class TokenError(CollectorError):
    """The text is no enrolment token."""


class LockedError(CollectorError):
    """Another collector works in this state folder."""


class StorageError(CollectorError):
    """The state folder or the output folder cannot be written: full, read-only, or failing."""


class ChainError(CollectorError):
    """Where the next report stands in its replica's chain cannot be told, or the server holds another report there."""


class Interrupted(BaseException):
    """A signal asked the collector to end. No part of it takes this for a failure of its own work."""
