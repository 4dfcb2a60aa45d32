"""Templates: one element a line, in lines that fit a screen, and no include that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
MAX_LINE_LENGTH = 120
REFERENCE = re.compile(r'{% (?:include|extends) "([^"]+)"')


def names() -> list[str]:
    """Return the names of all templates."""
    return sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))


def source(name: str) -> str:
    """Return the text of a template."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", names())
def test_lines_fit_a_screen(name: str) -> None:
    """No line is longer than those of Python modules."""
    long_lines = [number for number, line in enumerate(source(name).splitlines(), 1) if len(line) > MAX_LINE_LENGTH]
    assert long_lines == []


@pytest.mark.parametrize("name", names())
def test_templates_compile_and_find_their_parts(name: str) -> None:
    """Each template loads its libraries, and whatever it includes or extends exists."""
    get_template(name)
    for reference in REFERENCE.findall(source(name)):
        get_template(reference)


def test_every_part_is_used() -> None:
    """A template whose name begins with an underscore is included by another one or rendered by a view."""
    root = TEMPLATES.parent
    code = [
        path.read_text(encoding="utf-8")
        for package in ("checker", "scanner")
        for path in root.glob(f"{package}/**/*.py")
    ]
    everything = "\n".join([*code, *map(source, names())])
    unused = [name for name in names() if Path(name).name.startswith("_") and f'"{name}"' not in everything]
    assert unused == []
