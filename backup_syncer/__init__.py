"""The Django project: settings, addresses, and the launcher of the whole system."""

__version__ = "0.1.0"
