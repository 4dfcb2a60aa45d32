"""Hold the layout: who may import whom, who may speak SQL, what runs on Python 3.9."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("backup_syncer", "scanner", "checker", "deploy", "tests")
COLLECTOR = ("scanner/format", "scanner/collector")
"""Directories that run on the servers."""
OPTIONAL_THERE = {"cryptography", "psutil"}

SQL_DIRECTORIES = (
    "scanner/db/",
    "scanner/ingest/",
    "checker/proofs/",
    "checker/changes/",
    "checker/divergences/",
    "checker/findings/",
    "checker/duplicates/",
)
"""Directories whose modules may hold SQL or load it from their `sql` directory."""
SQL_ELSEWHERE = {"backup_syncer/launcher/postgres.py": "makes role and database before there is a Django"}
SQL_WORDS = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE ")


def files(*packages: str) -> list[Path]:
    """Python files of these packages, without migrations, which Django writes, and fakes, which stand for others."""
    paths = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in paths if "migrations" not in path.parts and "fakes" not in path.parts]


def name(path: Path) -> str:
    """The path in the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, anywhere in it; `from a import b` gives a and a.b."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: a relative import"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def collector_files() -> list[Path]:
    """Return the modules of the one-file collector."""
    return [ROOT / "scanner" / "__init__.py", *files(*COLLECTOR)]


def test_collector_imports_the_standard_library_and_itself_alone() -> None:
    """Collector and format pull in neither Django, nor the rest of scanner, nor a package that is not optional."""
    own = {"scanner", "scanner.format", "scanner.collector"}
    for path in collector_files():
        for module in imports(path):
            top = module.split(".")[0]
            if top == "scanner":
                assert ".".join(module.split(".")[:2]) in own, f"{name(path)} imports {module}"
            else:
                allowed = top in sys.stdlib_module_names or top in OPTIONAL_THERE
                assert allowed, f"{name(path)} imports {module}"


def test_collector_parses_as_python_3_9() -> None:
    """No match statement, no parenthesised with, nothing newer than 3.9 in what runs on the servers."""
    for path in collector_files():
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))


def test_collector_delays_annotations() -> None:
    """`X | Y` in an annotation is read on 3.9 only when annotations are not evaluated."""
    for path in collector_files():
        annotated = any(isinstance(node, (ast.AnnAssign, ast.FunctionDef)) for node in ast.walk(tree(path)))
        if annotated:
            assert "__future__.annotations" in set(imports(path)), f"{name(path)} lacks the __future__ import"


def test_scanner_does_not_know_the_checker() -> None:
    """Data flows one way: what holds must not depend on what judges."""
    for path in files("scanner"):
        assert not any(module.split(".")[0] == "checker" for module in imports(path)), f"{name(path)} imports checker"


def test_packages_do_not_know_the_wiring() -> None:
    """scanner and checker read Django's settings and nothing else of the project package."""
    for path in files("scanner", "checker"):
        wired = [module for module in imports(path) if module.split(".")[0] == "backup_syncer"]
        assert not wired, f"{name(path)} imports {wired}"


def test_scanner_package_holds_no_code() -> None:
    """Importing scanner.collector pulls in nothing else: the package has a docstring and not one statement."""
    package = tree(ROOT / "scanner" / "__init__.py")
    assert ast.get_docstring(package)
    assert len(package.body) == 1


def may_hold_sql(path: Path) -> bool:
    """Return whether this module is one of those that speak SQL."""
    return name(path).startswith(SQL_DIRECTORIES) or name(path) in SQL_ELSEWHERE or path in collector_files()


def test_only_named_modules_open_a_cursor() -> None:
    """`cursor()` is called where the SQL is, and nowhere else."""
    for path in files("scanner", "checker", "backup_syncer"):
        if may_hold_sql(path):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in ("cursor", "raw", "execute"), f"{name(path)}:{node.lineno}"


def test_no_sql_outside_its_modules() -> None:
    """Views, tasks, commands and the API contain no SQL text."""
    for path in files("scanner", "checker", "backup_syncer"):
        if may_hold_sql(path):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.lstrip().startswith(SQL_WORDS), f"{name(path)}:{node.lineno}: SQL"


@pytest.mark.parametrize("path", files("backup_syncer", "scanner", "checker"), ids=name)
def test_public_things_say_what_they_are(path: Path) -> None:
    """Each module and each public class and function of the program has a docstring."""
    if not path.read_text(encoding="utf-8").strip():
        return
    assert ast.get_docstring(tree(path)), f"{name(path)} has no docstring"


def test_every_test_states_its_behaviour() -> None:
    """A test's first line says what holds."""
    for path in files("tests"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{name(path)}:{node.lineno}: {node.name} has no docstring"


def rooms() -> dict[str, str]:
    """Return module → room: a directory without directories is one room; elsewhere each module is a room of its own."""
    paths = files("backup_syncer", "scanner", "checker")
    parents = {path.parent.parent for path in paths if path.name == "__init__.py"}
    assigned: dict[str, str] = {}
    for path in paths:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        directory = ".".join(path.parent.relative_to(ROOT).parts)
        assigned[module] = module if path.parent in parents else directory
    return assigned


def arrows(room_of: dict[str, str]) -> dict[str, set[str]]:
    """Return room → the rooms that its modules import."""
    drawn: dict[str, set[str]] = {room: set() for room in room_of.values()}
    for path in files("backup_syncer", "scanner", "checker"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if module not in room_of:
            continue
        for imported in imports(path):
            if imported in room_of and room_of[imported] != room_of[module]:
                drawn[room_of[module]].add(room_of[imported])
    return drawn


def find_circle(drawn: dict[str, set[str]]) -> list[str]:
    """Return the rooms of a circle of arrows and those that lead to it, or an empty list."""
    remaining = {room: set(targets) for room, targets in drawn.items()}
    while leaves := [room for room, targets in remaining.items() if not targets]:
        for leaf in leaves:
            del remaining[leaf]
        for targets in remaining.values():
            targets.difference_update(leaves)
    return sorted(remaining)


def test_rooms_import_in_one_direction() -> None:
    """No circle of imports joins directories, or modules of one directory that has directories in it."""
    assert find_circle({"a": {"b"}, "b": {"a"}, "c": set()}) == ["a", "b"]
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert find_circle(arrows(rooms())) == []


def test_modules_import_in_one_direction() -> None:
    """No circle of imports joins modules."""
    packages = {path.parent for path in files("backup_syncer", "scanner", "checker") if path.name == "__init__.py"}
    names = {".".join(package.relative_to(ROOT).parts) for package in packages}
    assert find_circle(arrows({module: module for module in rooms() if module not in names})) == []


def test_no_drawer_for_everything() -> None:
    """Modules are named after what they hold."""
    drawers = {"utils", "helpers", "common", "services", "managers", "misc"}
    assert not [name(path) for path in files(*PACKAGES) if path.stem in drawers]
