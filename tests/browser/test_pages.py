"""The main pages in a real browser: both languages, light and dark, a phone's width, no complaint on the console."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from scanner.models import Note, Progress, Replica, Run
from tests.browser.conftest import Open
from tests.checker import stage
from tests.parameters import usual_first
from tests.scanner import factories
from tests.scanner.factories import error_row, file_row, link_row, special_row

pytestmark = pytest.mark.django_db(transaction=True)

DESKTOP = ("en", "light", 1280)
PHONE = ("ru", "dark", 360)
OTHER_LOOKS = (("en", "dark", 360), ("ru", "light", 1280))


def looks(usual: tuple[str, str, int]) -> list[Any]:
    """Return languages, schemes and widths in which pages are judged: DESKTOP or PHONE; with --long all of them."""
    second = PHONE if usual == DESKTOP else DESKTOP
    return usual_first([usual, second, *OTHER_LOOKS])


ROWS = [
    *(file_row(f"2019/summer/IMG_{number:04}.jpg", b"x" * (number * 977 % 9000)) for number in range(150)),
    file_row("big/backup.tar", b"q", size=81 * 10**9),
    file_row("evil\n\x1b[31m\u202egpj.exe"),
    file_row("<script>alert(1)<"),
    file_row("long/" + "/".join(["d" * 250] * 15)),
    link_row("latest", "2026"),
    special_row("run/ctl", "socket"),
    error_row("locked/x"),
]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
NAMELESS = (Path(__file__).parent / "names.js").read_text(encoding="utf-8")


class World(NamedTuple):
    """Data that the pages show."""

    user: User
    replicas: dict[str, Replica]
    run: Run
    progress: Progress


@pytest.fixture
def world(transactional_db: None) -> World:
    """Replicas in every state, a run with odd entries, a run that goes on, an administrator."""
    replicas = stage.make_overview()
    run = replicas["proven"].runs.latest("sequence")
    stage.store_entries(run, ROWS)
    Note.objects.create(run=run, note="vanished", path="tmp/gone", detail="")
    return World(stage.make_user("administrator"), replicas, run, stage.make_progress(replicas["empty"]))


def fits(page: Page) -> bool:
    """Return whether nothing sticks out to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def look_at_each(page: Page, pages: dict[str, str], shoot: Callable[[Page, str], None], look: str) -> None:
    """Go to each page, open its first names, and see that it fits, can be read and named, and obeys no name."""
    page.on("dialog", lambda dialog: pytest.fail(f"a name was obeyed: {dialog.message}"))
    for name, address in pages.items():
        page.goto(address)
        for details in page.locator("details.entry").all()[:6]:
            details.evaluate("element => element.open = true")
        shoot(page, f"{name}-{look}")
        assert fits(page), name
        assert page.evaluate(CONTRAST) == [], name
        assert page.evaluate(NAMELESS) == [], name
        assert page.locator("html").get_attribute("lang") == look[:2]


@pytest.mark.parametrize(("language", "scheme", "width"), looks(DESKTOP))
def test_the_pages(
    open_page: Open, shoot: Callable[[Page, str], None], world: World, language: str, scheme: Any, width: int
) -> None:
    """Every page fits, is readable, has names for what can be used, and follows language and scheme of the browser."""
    page = open_page("/", world.user, language, width, color_scheme=scheme)
    pages = {
        "overview": "/",
        "overview-one-state": "/?state=attention",
        "replica": f"/replicas/{world.replicas['proven'].uuid}/",
        "replica-errors": f"/replicas/{world.replicas['errors'].uuid}/",
        "replica-failed": f"/replicas/{world.replicas['failed'].uuid}/",
        "run": f"/runs/{world.run.uuid}/",
        "run-broken": f"/runs/{world.replicas['broken'].runs.get().uuid}/",
        "run-progress": f"/runs/{world.progress.uuid}/",
        "entries": f"/runs/{world.run.uuid}/entries/?search=b",
        "entries-by-path": f"/runs/{world.run.uuid}/entries/?order=path&search=l",
        "tree": f"/runs/{world.run.uuid}/tree/",
        "tree-below": f"/runs/{world.run.uuid}/tree/?below=2019/summer/",
        "notes": f"/runs/{world.run.uuid}/notes/",
    }
    for name, address in pages.items():
        answer = page.goto(address)
        assert answer is not None and answer.ok
        shoot(page, f"{name}-{language}-{scheme}-{width}")
        assert page.evaluate("[document.documentElement.lang, document.documentElement.dataset.bsTheme]") == [
            language,
            scheme,
        ]
        assert fits(page), name
        assert page.evaluate(CONTRAST) == [], name
        assert page.evaluate(NAMELESS) == [], name


@pytest.mark.parametrize(("language", "scheme", "width"), usual_first([("ru", "dark", 1280), DESKTOP]))
def test_the_admin(
    open_page: Open, shoot: Callable[[Page, str], None], world: World, language: str, scheme: Any, width: int
) -> None:
    """The admin works under the same strict policy, down to an enrolment token that is shown once."""
    group = world.replicas["proven"].group
    server = world.replicas["proven"].server
    page = open_page("/admin/", world.user, language, width, color_scheme=scheme)
    for name, address in {
        "admin": "/admin/",
        "admin-groups": "/admin/scanner/group/",
        "admin-group": f"/admin/scanner/group/{group.pk}/change/",
        "admin-server": f"/admin/scanner/server/{server.pk}/change/",
        "admin-replica": f"/admin/scanner/replica/{world.replicas['failed'].pk}/change/",
        "admin-accept-root": f"/admin/scanner/replica/{world.replicas['failed'].pk}/act/accept-root/",
        "admin-runs": "/admin/scanner/run/",
        "admin-run": f"/admin/scanner/run/{world.run.pk}/change/",
        "admin-versions": f"/admin/scanner/version/?replica__id__exact={world.run.replica_id}",
        "admin-log": "/admin/admin/logentry/",
    }.items():
        answer = page.goto(address)
        assert answer is not None and answer.ok
        shoot(page, f"{name}-{language}-{scheme}-{width}")
    page.goto(f"/admin/scanner/server/{server.pk}/act/enrol/")
    page.click("input[type=submit]")
    shoot(page, f"admin-enrolment-{language}-{scheme}-{width}")
    assert "backup-syncer-collector enroll bse1." in page.inner_text("#command")
    expect(page.locator("[data-copy]")).to_be_visible()


def test_login_language_and_theme(open_page: Open, shoot: Callable[[Page, str], None], transactional_db: None) -> None:
    """One logs in, turns the theme and the language, and both stay on the next page."""
    user = stage.make_user("viewer")
    user.set_password("a long enough sentence")
    user.save()
    page = open_page("/", color_scheme="light")
    shoot(page, "login")
    page.fill("#id_username", user.username)
    page.fill("#id_password", "wrong")
    page.click("main button")
    assert page.is_visible("#login-error")
    page.fill("#id_password", "a long enough sentence")
    page.click("main button")
    assert page.is_visible("#steps-head")
    shoot(page, "first-steps")
    for theme in ("light", "dark"):
        page.click("[data-theme-switch]")
        assert page.evaluate("document.documentElement.dataset.bsTheme") == theme
    page.click("button[value=ru]")
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dataset.bsTheme]") == ["ru", "dark"]
    page.click("form.who button")
    assert page.url.endswith("/login/")


def test_the_looks_are_really_judged(open_page: Open, transactional_db: None) -> None:
    """The judges of contrast and names find what is wrong on a page that is."""
    page = open_page("/login/")
    page.evaluate("document.querySelector('h1').style.color = '#ccc'")
    page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<h4></h4><button></button><th></th>')"
    )
    assert [line.split()[1:] for line in page.evaluate(CONTRAST)] == [["Log", "in"]]
    assert len(page.evaluate(NAMELESS)) == 2


def test_more_rows_come_without_a_new_page(open_page: Open, world: World) -> None:
    """*Show more* puts the next rows below those that are there, and the keyboard goes on at the first of them."""
    page = open_page(f"/runs/{world.run.uuid}/entries/", world.user)
    assert page.locator("tbody tr:not(.more)").count() == 100
    page.focus(".more a")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr:not(.more)")).to_have_count(157)
    assert page.evaluate("document.activeElement === document.querySelectorAll('tbody tr')[100]")


def test_the_overview_filters_while_one_types(open_page: Open, world: World) -> None:
    """Typing narrows the list without a new page, the address follows, and / leads to the field."""
    page = open_page("/", world.user)
    page.keyboard.press("/")
    page.keyboard.type("gamma")
    expect(page.locator(".replica-cell")).to_have_count(2)
    assert "name=gamma" in page.url


def test_progress_moves_and_ends_by_itself(open_page: Open, world: World) -> None:
    """The page of a run follows it, and becomes the page of the proven run when it is one."""
    page = open_page(f"/runs/{world.progress.uuid}/", world.user)
    assert "34 %" in page.inner_text("#course")
    Progress.objects.update(bytes_done=900 * 10**9)
    expect(page.locator("#course")).to_contain_text("74 %")
    server = world.replicas["proven"].server
    key = factories.make_key(world.replicas["proven"].server)
    replica = factories.make_replica(server, root="/srv/new")
    run = stage.mark_ingested(stage.make_run(replica, key, run=str(world.progress.uuid)))
    stage.make_proof(run)
    page.wait_for_selector(".verdict-proven")
    assert page.locator("[hx-trigger]").count() == 0


def test_the_overview_hears_of_the_end_of_a_run(open_page: Open, world: World) -> None:
    """When the last run has ended, the overview looks again by itself."""
    page = open_page("/", world.user)
    assert page.is_visible("#running progress")
    Progress.objects.all().delete()
    page.wait_for_selector("#running progress", state="detached")


def test_pages_are_read_without_scripts(browser: Browser, live_server: Any, world: World) -> None:
    """Without JavaScript the pages show the same, and links lead on."""
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    client = Client()
    client.force_login(world.user)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    page.goto("/?name=gamma")
    assert page.locator(".replica-cell").count() == 2
    page.goto(f"/runs/{world.run.uuid}/entries/")
    page.click(".more a")
    # A click does not wait for the whole of the next page.
    expect(page.locator("tbody tr:not(.more)")).to_have_count(57)
    page.goto(f"/runs/{world.progress.uuid}/")
    assert "34 %" in page.inner_text("#course")
    context.close()
