"""Pages of the documentation in a real browser: both languages, light and dark, a phone's width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.test_pages import CONTRAST, DESKTOP, NAMELESS, fits, looks
from tests.checker import stage

PHOTOGRAPHED = ("docs", "docs-glossary", "docs-performance")
"""A picture of the longest pages would be tens of thousands of pixels high."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("language", "scheme", "width"), looks(DESKTOP))
def test_pages_fit_and_can_be_read(
    open_page: Open, shoot: Callable[[Page, str], None], language: str, scheme: Any, width: int
) -> None:
    """Every page fits the window, tables and code scroll inside it, and contrast and names are good."""
    page = open_page("/docs/", stage.make_user("viewer"), language, width, color_scheme=scheme)
    addresses = page.eval_on_selector_all(".docs-contents a", "links => links.map(a => a.getAttribute('href'))")
    for address in sorted({address for address in addresses if address.startswith("/docs/")}):
        page.goto(address)
        name = address.strip("/").replace("/", "-")
        if name in PHOTOGRAPHED:
            shoot(page, f"{name}-{language}-{scheme}-{width}")
        assert fits(page), name
        assert page.evaluate(CONTRAST) == [], name
        assert page.evaluate(NAMELESS) == [], name


def test_contents_stay_beside_the_text(open_page: Open) -> None:
    """On a wide window a click in the contents scrolls to the heading, and the contents stay where they are."""
    page = open_page("/docs/collector/", stage.make_user("viewer"))
    side = page.locator(".docs-side")
    side.locator("a[href='#excludes']").click()
    heading = page.locator("#excludes")
    expect(heading).to_be_in_viewport()
    expect(side).to_be_in_viewport()
    expect(page.locator(".docs-fold")).to_be_hidden()


def test_contents_are_folded_on_a_phone(open_page: Open) -> None:
    """On a narrow window the text comes first; the contents open above it."""
    page = open_page("/docs/collector/", stage.make_user("viewer"), width=360)
    link = page.locator(".docs-fold a[href='#excludes']")
    expect(link).to_be_hidden()
    page.locator(".docs-fold summary").click()
    link.click()
    expect(page.locator("#excludes")).to_be_in_viewport()


def test_language_switch_keeps_the_page(open_page: Open) -> None:
    """The switch shows the same page in the other language."""
    page = open_page("/docs/glossary/", stage.make_user("viewer"))
    page.locator(".languages button[value='ru']").click()
    expect(page.locator("h1")).to_have_text("Словарь")
    assert page.url.endswith("/docs/glossary/")
