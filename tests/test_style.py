"""Hold the style that a machine can see: names that say what they hold, docstrings that say what is done."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DIRECTORIES = ("backup_syncer", "scanner", "checker", "deploy", "tests")

PRONOUNS = frozenset(
    {
        "ask",
        "at",
        "found",
        "given",
        "it",
        "looked",
        "one",
        "said",
        "some",
        "such",
        "there",
        "these",
        "those",
        "told",
        "wanted",
        "wish",
    }
)
"""Names that do not say what they hold."""

OPENINGS = ("What ", "How ", "Which ", "Whether ", "Whatever ", "So ", "All that ", "Where ", "As ", "By which ", "Of ")
"""Beginnings of docstrings that are not an imperative sentence or a noun."""


def python_files() -> list[Path]:
    """Return the project's Python files, without migrations, which Django writes."""
    paths = [path for directory in DIRECTORIES for path in sorted((ROOT / directory).rglob("*.py"))]
    return [path for path in paths if "migrations" not in path.parts]


@cache
def parse(path: Path) -> ast.Module:
    """Return the parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def names_bound_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of each variable, parameter, function, class, attribute and alias that a file makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                if alias.asname:
                    yield node.lineno, alias.asname


def docstrings_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring of a file."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node)
            if docstring:
                yield getattr(node, "lineno", 1), docstring


def test_the_checks_see_what_they_look_for() -> None:
    """A pronoun is found wherever a name can be made, and an opening in each kind of docstring."""
    source = (
        '"""What this is."""\n'
        "import os as it\n"
        "def told(given, *some, **such):\n"
        '    """Whether it is so."""\n'
        "    for one in given: self.found = [at for at in some]\n"
    )
    tree = ast.parse(source)
    assert {name for _line, name in names_bound_in(tree)} & PRONOUNS == {
        "it",
        "told",
        "given",
        "some",
        "such",
        "one",
        "found",
        "at",
    }
    assert [text for _line, text in docstrings_of(tree) if text.startswith(OPENINGS)] == [
        "What this is.",
        "Whether it is so.",
    ]


@pytest.mark.parametrize("path", python_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_and_docstrings(path: Path) -> None:
    """No name is a pronoun, and no docstring begins like a riddle."""
    tree = parse(path)
    pronouns = [f"line {line}: {name}" for line, name in names_bound_in(tree) if name.strip("_").lower() in PRONOUNS]
    riddles = [f"line {line}: {text[:60]}" for line, text in docstrings_of(tree) if text.startswith(OPENINGS)]
    assert (pronouns, riddles) == ([], [])


SQL_FILES = sorted(path for directory in DIRECTORIES for path in (ROOT / directory).rglob("*.sql"))
SQL_WIDTH = 120


def test_there_are_sql_files() -> None:
    """The next test looks at something."""
    assert len(SQL_FILES) > 50


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sql_states_its_purpose(path: Path) -> None:
    """An SQL file opens with a comment, and no line of it is wider than a line of Python."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("-- "), "say in a comment on the first line what the statement is for"
    wide = [f"line {number}: {len(line)}" for number, line in enumerate(lines, 1) if len(line) > SQL_WIDTH]
    assert wide == [], f"wrap these lines at {SQL_WIDTH} characters"
