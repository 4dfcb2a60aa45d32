"""SQL files: each is loaded by its name, and each is used."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scanner.db.sql import StatementError, load_statements

ROOT = Path(__file__).parents[3]
STATEMENTS = [path for package in ("scanner", "checker") for path in (ROOT / package).rglob("sql/*.sql")]
DIRECTORIES = sorted({path.parent for path in STATEMENTS})


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module with two statements beside it."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "forget.sql").write_text("DELETE FROM note WHERE run_id = %(run)s\n")
    (tmp_path / "sql" / "count.sql").write_text("SELECT {columns}, '{}'::jsonb FROM {table}\n")
    return tmp_path / "notes.py"


def test_a_statement_is_the_text_of_its_file(module: Path) -> None:
    """Nothing is added or taken away."""
    statement = load_statements(str(module))
    assert statement("forget") == "DELETE FROM note WHERE run_id = %(run)s\n"


def test_parts_are_put_in_and_other_braces_stay(module: Path) -> None:
    """Each part replaces its name; an empty JSON object is no part, and a part's own braces are left alone."""
    statement = load_statements(str(module))
    assert statement("count", columns="'{table}'", table="note") == "SELECT '{table}', '{}'::jsonb FROM note\n"


@pytest.mark.parametrize("parts", [{}, {"columns": "1"}, {"columns": "1", "table": "note", "order": "1"}])
def test_parts_must_be_those_of_the_text(module: Path, parts: dict[str, str]) -> None:
    """A part that is missing, or that the text does not name, is a mistake of the program."""
    with pytest.raises(StatementError):
        load_statements(str(module))("count", **parts)


def test_an_unknown_name_is_a_mistake(module: Path) -> None:
    """A name without a file does not pass for an empty statement."""
    with pytest.raises(StatementError):
        load_statements(str(module))("forgotten")


def test_every_file_is_used() -> None:
    """A module beside the directory names each statement."""
    for directory in DIRECTORIES:
        names = set()
        for module in directory.parent.glob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    names.add(node.value)
        assert {path.stem for path in directory.glob("*.sql")} <= names, directory
