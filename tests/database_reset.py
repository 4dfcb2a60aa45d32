"""Empty the test database after a test faster than Django does: rows that migrations made stay.

Django truncates all tables and then makes content types, permissions, roles and schedules again, which takes longer
than most of the tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.test import TransactionTestCase

_flush_by_django: Any = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]  # a part of Django without a stub


MOST_DELETED = 2**20
"""Bytes of tables up to which their rows are deleted. TRUNCATE makes each table and index anew, whatever it holds."""


class DatabaseReset:
    """Brings the database back to what it was before any test used it."""

    def __init__(self) -> None:
        """Remember which tables have rows, and a digest of these rows."""
        with connection.cursor() as cursor:
            table_names = connection.introspection.django_table_names(only_existing=True, include_views=False)
            tables = [connection.ops.quote_name(name) for name in table_names]
            filled_tables = [table for table in tables if _has_rows(cursor, table)]

            cursor.execute("SELECT current_setting('is_superuser') = 'on'")
            (self._may_switch_triggers_off,) = cursor.fetchone()

        empty_tables = [table for table in tables if table not in filled_tables]
        self._truncate = f"TRUNCATE {', '.join(empty_tables)}"
        used_tables = [
            f"SELECT {_literal(table)}, pg_relation_size({_literal(table)}) WHERE EXISTS (SELECT FROM {table})"
            for table in empty_tables
        ]
        self._find_used = " UNION ALL ".join(used_tables)
        contents = [
            f"(SELECT string_agg(row::text, E'\\n' ORDER BY row) FROM {table} AS row)" for table in filled_tables
        ]
        self._digest = f"SELECT md5(concat_ws('|', {', '.join(contents)}))"
        self._original = self._read_digest()

    def __call__(self, test: TransactionTestCase) -> None:
        """Empty the tables that were empty. Leave it to Django when a test has changed the others."""
        if self._read_digest() != self._original:
            _flush_by_django(test)
            self._original = self._read_digest()
            return
        with connection.cursor() as cursor:
            cursor.execute(self._find_used)
            used_tables = dict(cursor.fetchall())
            if not self._may_switch_triggers_off or sum(used_tables.values()) > MOST_DELETED:
                cursor.execute(self._truncate)
            elif used_tables:
                cursor.execute(_delete(used_tables))

    def _read_digest(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(self._digest)
            return cursor.fetchone()


def _delete(tables: Iterable[str]) -> str:
    """Return statements that delete all rows. No trigger refuses it, and no foreign key asks for an order."""
    statements = [f"DELETE FROM {table}" for table in tables]
    return "; ".join(["BEGIN", "SET LOCAL session_replication_role = replica", *statements, "COMMIT"])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _has_rows(cursor: Any, table: str) -> bool:
    cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")
    return bool(cursor.fetchone()[0])
