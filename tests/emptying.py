"""Empties the test database after a test, sooner than Django does: what migrations put there stays.

Django truncates all tables and then makes content types, permissions, roles and schedules anew, which takes longer than
most of the tests.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test import TransactionTestCase

_flush: Any = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]  # a part of Django without a stub


class Emptying:
    """The fresh database's rows, and the way back to them."""

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            table_names = connection.introspection.django_table_names(only_existing=True, include_views=False)
            names = {name: connection.ops.quote_name(name) for name in table_names}
            self.kept = [name for index, name in names.items() if _has_rows(cursor, name)]
        truncated = ", ".join(name for name in names.values() if name not in self.kept)
        self.truncate = f"TRUNCATE {truncated}"
        parts = (f"(SELECT string_agg(row::text, E'\\n' ORDER BY row) FROM {name} AS row)" for name in self.kept)
        self.look = f"SELECT md5(concat_ws('|', {', '.join(parts)}))"
        self.untouched = self._look()

    def __call__(self, test: TransactionTestCase) -> None:
        """Empty the tables; where a test changed what stays, as Django does it."""
        if self._look() != self.untouched:
            _flush(test)
            self.untouched = self._look()
            return
        with connection.cursor() as cursor:
            cursor.execute(self.truncate)

    def _look(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(self.look)
            return cursor.fetchone()


def _has_rows(cursor: Any, name: str) -> bool:
    cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")
    return bool(cursor.fetchone()[0])
