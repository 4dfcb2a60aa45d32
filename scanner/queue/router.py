"""Close django-q2's tables of schedules and results: their rows name functions, or hold pickles."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from scanner.errors import ClosedTable

QUEUE = "ormq"
"""The one model of django-q2 that is used. Its rows are read by `scanner.queue.broker` alone, as JSON."""


class ClosedTables:
    """Refuses every query of these tables, whoever makes it, and does not make them in a new database."""

    def db_for_read(self, model: type[Model], **_hints: Any) -> None:
        """Raise ClosedTable for a closed table, and leave all others to Django."""
        _refuse_closed(model)

    def db_for_write(self, model: type[Model], **_hints: Any) -> None:
        """Raise ClosedTable for a closed table, and leave all others to Django."""
        _refuse_closed(model)

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **_hints: Any) -> bool | None:  # noqa: ARG002  # Django names them
        """Return False for a closed table, which `dumpdata` then leaves out, too, and None for all others."""
        if app_label == "django_q" and model_name is not None and model_name != QUEUE:
            return False
        return None


def _refuse_closed(model: type[Model]) -> None:
    options = model._meta
    if options.app_label == "django_q" and options.model_name != QUEUE:
        raise ClosedTable(f"{options.label}: this table is not used, and its rows must not be loaded")
