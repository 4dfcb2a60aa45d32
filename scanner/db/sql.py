"""Load SQL statements from `sql/NAME.sql` files beside the modules that run them, and fetch their rows.

    statement = load_statements(__file__)

    FORGET = statement("forget")
    cursor.execute(FORGET, {"comparison": comparison.pk})

A file holds one whole statement, or several with semicolons between them, that can be pasted into psql. Values travel
as `%(name)s` parameters, so a literal percent sign is written `%%`, in comments, too. A condition that is not always
asked for is a parameter as well: `(%(kind)s::text IS NULL OR kind = %(kind)s)`. The driver writes values into the text,
so the planner folds such a condition away.

What many statements say of states and paths is an SQL function, made by migration 0002 of `scanner`:
`state_at(replica, sequence)`, `is_below(path, directory)`, `directory_of(path)`, `name_of(path)` and
`directory_at_depth(parts, depth)`. A call costs no more than its body.

Only what no parameter can carry is a part of the text: `{columns}` in a file is replaced by `columns="..."`. Parts are
SQL, never data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.db import connection, transaction

BATCH_ROWS = 4096
"""Rows that are fetched at a time, while the caller works on the batch before them."""
# Rows are read on one core while they are used on another: parallel workers of PostgreSQL would compete with both.
NO_PARALLEL_WORKERS = "SET LOCAL max_parallel_workers_per_gather = 0"

_PART = re.compile(r"\{([a-z_]+)\}")


class StatementError(LookupError):
    """No such statement, or its parts are not those that its text names."""


class Statements:
    """The statements of one `sql` directory. Call it with a name, and with the parts that the text names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._texts = {path.stem: path.read_text(encoding="utf-8") for path in directory.glob("*.sql")}

    def __call__(self, name: str, **parts: str) -> str:
        """Return the text of `sql/NAME.sql` with its parts put in. Raise StatementError when they do not fit."""
        if name not in self._texts:
            raise StatementError(f"no statement {name} in {self._directory}")

        text = self._texts[name]
        expected = set(_PART.findall(text))
        if expected != parts.keys():
            raise StatementError(f"{name}.sql has the parts {sorted(expected)}, not {sorted(parts)}")
        return _PART.sub(lambda match: parts[match[1]], text)


def load_statements(module_file: str) -> Statements:
    """Return the statements of the directory `sql` beside a module, which passes its `__file__`."""
    return Statements(Path(module_file).parent / "sql")


def like_pattern(text: str) -> str:
    """Return a pattern for LIKE that finds `text` anywhere, whatever characters it has."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def fetch_all(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def fetch_batches(statement: str, parameters: dict[str, Any]) -> Iterator[list[Any]]:
    """Yield the rows of a query in batches, of which two at most are in memory.

    The next batch is fetched on another thread while the caller works on the last one. The query runs in a transaction.
    """
    with transaction.atomic(savepoint=False), connection.wrap_database_errors, ThreadPoolExecutor(1) as pool:
        with connection.cursor() as cursor:
            cursor.execute(NO_PARALLEL_WORKERS)

        with connection.chunked_cursor() as chunked:
            # The binary format spares the conversion of every value to text and back.
            server_cursor = chunked.cursor
            server_cursor.execute(statement, parameters, binary=True)
            next_batch = pool.submit(server_cursor.fetchmany, BATCH_ROWS)
            try:
                while rows := next_batch.result():
                    next_batch = pool.submit(server_cursor.fetchmany, BATCH_ROWS)
                    yield rows
            except GeneratorExit:
                # The caller stopped early: that is no reason to roll the transaction back.
                return
            finally:
                # The connection is free only when the fetch on the other thread has ended.
                next_batch.exception()
