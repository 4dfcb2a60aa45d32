"""The fleet in a real browser: a hundred groups on twenty servers or the other way round, by keyboard, on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from scanner.models import Progress
from tests.browser.conftest import Open
from tests.browser.test_pages import CONTRAST, NAMELESS, fits
from tests.checker import stage, status_grid_stage
from tests.scanner import factories

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = [
    ("en", "light", 1280, 100, 20),
    pytest.param("ru", "dark", 360, 20, 100, marks=pytest.mark.long),
    pytest.param("ru", "dark", 1280, 20, 100, marks=pytest.mark.long),
    pytest.param("en", "light", 360, 100, 20, marks=pytest.mark.long),
]
MOMENT = "document.activeElement.getAttribute('aria-label') || document.activeElement.title"
# Head and first column must stay where they can be read: whether an element is what one sees at its own middle.
SEEN = """e => { const at = e.getBoundingClientRect();
    return e.contains(document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2)); }"""
# The page glides to what gets the focus: two seconds until it is there.
SOON = f"""async () => {{ const seen = {SEEN}, until = performance.now() + 2000;
    while (!seen(document.activeElement) && performance.now() < until) await new Promise(requestAnimationFrame);
    return seen(document.activeElement); }}"""


def place(page: Page) -> tuple[int, int]:
    """Row and column of what has the focus in the grid."""
    matches = page.evaluate(
        "(() => { const e = document.activeElement;"
        "return [e.closest('tr').rowIndex, e.closest('th, td').cellIndex]; })()"
    )
    return matches[0], matches[1]


def press(page: Page, *keys: str) -> tuple[int, int]:
    """Addresses to which these keys lead."""
    for key in keys:
        page.keyboard.press(key)
    return place(page)


@pytest.mark.parametrize(("language", "scheme", "width", "groups", "servers"), LOOKS)
def test_a_large_fleet(
    open_page: Open,
    shoot: Callable[[Page, str], None],
    language: str,
    scheme: Any,
    width: int,
    groups: int,
    servers: int,
) -> None:
    """Grid, server and group fit their screen, are readable, and have names for what can be used."""
    made = status_grid_stage.fill(groups, servers, 3)
    page = open_page("/", stage.make_user("viewer"), language, width, color_scheme=scheme)
    pages = {
        "grid": "/",
        "server": f"/servers/{made.servers[4].uuid}/",
        "group": f"/groups/{made.groups[0].uuid}/",
    }
    for name, address in pages.items():
        page.goto(address)
        shoot(page, f"fleet-{name}-{language}-{scheme}-{width}")
        assert fits(page), name
        assert page.evaluate(CONTRAST) == [], name
        assert page.evaluate(NAMELESS) == [], name


def test_a_hundred_by_twenty_needs_no_scrolling_to_the_side(open_page: Open) -> None:
    """At 1,280 pixels all columns are seen at once, either way round, and the head stays while the page moves."""
    status_grid_stage.fill(100, 20)
    page = open_page("/", stage.make_user("viewer"))
    assert page.evaluate("(f => f.scrollWidth <= f.clientWidth)(document.querySelector('.fleet-frame'))")
    page.locator(".fleet tbody tr").nth(90).scroll_into_view_if_needed()
    page.mouse.wheel(0, 300)
    page.wait_for_function("window.scrollY > 1500")
    head = page.locator(".fleet thead th a").nth(10)
    assert head.evaluate(SEEN) and head.bounding_box()["y"] < 200  # type: ignore[index]  # a box that is seen is there


def test_the_grid_moves_in_its_own_frame_on_a_phone(open_page: Open) -> None:
    """On a narrow screen the grid moves and the page does not; the group's name and the heads stay in sight."""
    status_grid_stage.fill(100, 20)
    page = open_page("/", stage.make_user("viewer"), width=360, has_touch=True)
    page.locator(".fleet-frame").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('.fleet-frame').scrollTo(400, 600)")
    page.locator(".fleet-frame").evaluate("f => scrollBy(0, f.getBoundingClientRect().top - 10)")
    assert fits(page)
    frame = page.evaluate("(f => [f.scrollLeft, f.scrollTop])(document.querySelector('.fleet-frame'))")
    assert frame[0] > 300 and frame[1] > 500
    row = page.locator(".fleet tbody tr").nth(20)
    name = row.locator("th a")
    cell = row.locator("td a").nth(15)
    assert name.evaluate(SEEN) and cell.evaluate(SEEN)
    assert page.locator(".fleet thead th a").nth(15).evaluate(SEEN)
    box = cell.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 24


def test_the_grid_is_one_stop_and_keys_go_from_cell_to_cell(open_page: Open) -> None:
    """Tab enters and leaves the grid in one step each; arrows, Home, End, Page Up and Down move; Enter opens."""
    status_grid_stage.fill(30, 8)
    page = open_page("/", stage.make_user("viewer"))
    assert page.locator("[data-grid] a[tabindex='0']").count() == 1
    assert page.get_by_role("grid").count() == 1
    page.focus(".to-open")
    assert press(page, "Tab") == (1, 1)
    assert press(page, "ArrowDown", "ArrowRight") == (2, 2)
    assert press(page, "ArrowUp", "ArrowLeft") == (1, 1)
    assert press(page, "End") == (1, 8) and press(page, "ArrowRight") == (1, 8)
    assert press(page, "Home") == (1, 0) and press(page, "ArrowLeft") == (1, 0)
    assert press(page, "PageDown") == (11, 0) and press(page, "PageDown", "PageDown") == (30, 0)
    assert press(page, "PageUp") == (20, 0)
    assert press(page, "Control+End") == (30, 8) and press(page, "Control+Home") == (0, 1)
    assert press(page, "ArrowDown") == (1, 1)
    text = page.evaluate(MOMENT)
    assert page.locator("[data-cell-label]").inner_text() == text and " on node" in text
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('[data-grid]')") is None
    assert press(page, "Shift+Tab") == (1, 1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/replicas/**")


def test_keys_step_over_what_is_not_kept_there_and_never_hide_behind_heads(open_page: Open) -> None:
    """Cells without a replica are passed; what has the focus is in sight, wherever the page stands."""
    made = status_grid_stage.fill(60, 8)
    made.groups[0].replicas.filter(server__in=made.servers[1:7]).update(archived_at=made.servers[0].last_seen_at)
    page = open_page("/?name=share 000", stage.make_user("viewer"))
    page.focus(".fleet tbody th a")
    assert press(page, "ArrowRight", "ArrowRight") == (1, 2) and page.locator(".fleet tbody td a").count() == 2
    page.goto("/")
    page.focus(".fleet tbody td a")
    press(page, "Control+End")
    for _step in range(7):
        press(page, *["ArrowUp"] * 8)
        assert page.evaluate(SOON)


def test_the_focus_stays_when_the_page_looks_again(open_page: Open) -> None:
    """When a run ends the states are fetched anew; who stood on a cell stands there still, and the keys go on."""
    made = status_grid_stage.fill(4, 4)
    replica = made.groups[0].replicas.get(server=made.servers[0])
    stage.make_progress(replica)
    page = open_page("/", stage.make_user("viewer"))
    page.focus(".fleet tbody td a")
    assert press(page, "ArrowDown", "ArrowRight") == (2, 2)
    text = page.evaluate(MOMENT)
    page.evaluate("document.querySelector('[data-grid]').dataset.old = 'yes'")
    Progress.objects.all().delete()
    page.wait_for_selector("[data-grid]:not([data-old])")
    expect(page.locator("[data-grid] a[tabindex='0']")).to_have_count(1)
    assert page.evaluate(MOMENT) == text and press(page, "ArrowLeft") == (2, 1)


def test_without_scripts_each_cell_is_a_link(browser: Browser, live_server: Any) -> None:
    """The grid reads and leads on without JavaScript; cell, row head and column head are ordinary links."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server, factories.make_group("photos"))
    stage.make_history(replica, key, 3)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    client = Client()
    client.force_login(stage.make_user("viewer"))
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    for where, address in (
        ("tbody td a", f"/replicas/{replica.uuid}/"),
        ("thead a", f"/servers/{server.uuid}/"),
        ("tbody th a", f"/groups/{replica.group.uuid}/"),
    ):
        page.goto("/")
        assert page.locator(f".fleet {where}").get_attribute("tabindex") is None
        page.click(f".fleet {where}")
        assert page.url.endswith(address)
    context.close()
