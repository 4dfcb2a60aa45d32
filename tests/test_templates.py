"""Templates: one element a line, in lines that fit a screen, and no include that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

from checker.models import Change, Divergence, Finding
from checker.pages.status import Status

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


DOCUMENTATION = TEMPLATES.parent / "docs"
EXPLAINED = {
    "change-": Change.Kind.values,
    "divergence-": Divergence.Kind.values,
    "finding-": Finding.Kind.values,
    "status-": [status.value for status in Status],
    "verdict-": Divergence.PathVerdict.values,
}
"""What the pages explain with a help link: the beginning of the anchor, and the values that end it."""
HELP_LINK = re.compile(r'{% with anchor="([\w-]+)"\|add:[\w.]+ %}{% include "checker/_docs_link.html" %}')
DIRECT_LINK = re.compile(r"{% url 'docs-page' '([\w-]+)' %}#([\w-]+)\"")


def anchors(language: str, page: str) -> set[str]:
    """Return the addresses within a page of the documentation."""
    return set(re.findall(r'<a id="([\w-]+)"></a>', (DOCUMENTATION / language / f"{page}.md").read_text("utf-8")))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_help_link_leads_to_an_anchor(language: str) -> None:
    """Each kind, verdict and status has its section, and so has each link that names one."""
    everything = "\n".join(map(source, names()))
    assert everything.count('include "checker/_docs_link.html"') == len(HELP_LINK.findall(everything))
    assert set(HELP_LINK.findall(everything)) == set(EXPLAINED)
    expected_anchors = {beginning + value for beginning, values in EXPLAINED.items() for value in values}
    assert expected_anchors - anchors(language, "everyday") == set()

    links = DIRECT_LINK.findall(everything)
    assert links
    assert [link for link in links if link[1] not in anchors(language, link[0])] == []
