"""The page of a group, and findings between replicas, in a real browser, over real runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from checker.models import Divergence, Finding
from tests.browser.conftest import Open
from tests.browser.test_changes import HOSTILE, LONG
from tests.browser.test_pages import DESKTOP, fits, look_at_each, looks
from tests.checker import stage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)


class StagedComparison(NamedTuple):
    """Data that the pages show."""

    user: User
    fleet: StagedGroup
    pages: dict[str, str]


@pytest.fixture
def staged_comparison(transactional_db: None) -> StagedComparison:
    """Three replicas that differ in every way, and a fourth without a run."""
    fleet = StagedGroup(4, name="Photos", limit_files=1000)
    for number, name in enumerate(("alpha", "beta", "gamma", "delta")):
        server = fleet.replicas[number].replica.server
        server.name = f"{name}.example.net"
        server.save()
    many = [file(f"2019/summer/IMG_{number:04}.jpg", str(number).encode() * 40) for number in range(230)]
    shut = file("shut", b"s")
    first = file("2018/a.jpg", b"a")
    second = file("2018/b.jpg", b"b")
    odd = [file(HOSTILE, b"c"), file(LONG, b"d")]
    fleet.runs(*[[*many, first, second, *odd, shut]] * 3)
    fleet.compare()
    rotten = [file("2018/a.jpg", b"rotten"), file(HOSTILE, b"evil")]
    fleet.run(0, [*many, first, file("2018/b.jpg", b"edited", mtime_ns=LATER_MTIME), *odd, shut])
    fleet.run(
        1,
        [*many[:100], *rotten, second, file("caf\u00e9", b"d"), shut],
        rotten=[entry.path for entry in rotten],
    )
    fleet.run(2, [*many, first, second, *odd, error_row("shut")])
    fleet.compare()
    return StagedComparison(stage.make_user("administrator"), fleet, addresses(fleet))


def addresses(fleet: StagedGroup) -> dict[str, str]:
    """The pages by a word for each."""
    uuid = fleet.group.uuid
    damage = Finding.objects.get(replica=None, path="2018/a.jpg")
    lost = Finding.objects.get(replica=None, kind="lost", folded=True)
    return {
        "group": f"/groups/{uuid}/",
        "group-below": f"/groups/{uuid}/?below=2018/",
        "group-list": f"/groups/{uuid}/?view=list&kind=mismatch",
        "group-lost": f"/groups/{uuid}/?view=list&kind=lost&at=2",
        "group-hostile": f"/groups/{uuid}/?search=evil",
        "group-nothing": f"/groups/{uuid}/?search=nothing-has-this-name",
        "finding-damaged-copy": f"/findings/{damage.uuid}/",
        "finding-lost": f"/findings/{lost.uuid}/",
        "findings-between": "/findings/",
        "overview-repairs": "/",
        "file-of-group": f"/replicas/{fleet.replicas[1].replica.uuid}/file/?path=2018/a.jpg",
    }


@pytest.mark.parametrize(("language", "scheme", "width"), looks(DESKTOP))
def test_the_pages(
    open_page: Open,
    shoot: Callable[[Page, str], None],
    staged_comparison: StagedComparison,
    language: str,
    scheme: Any,
    width: int,
) -> None:
    """Every page fits, is readable, has names for what can be used, and obeys no hostile name."""
    page = open_page("/", staged_comparison.user, language, width, color_scheme=scheme)
    look_at_each(page, staged_comparison.pages, shoot, f"{language}-{scheme}-{width}")


def test_from_the_overview_to_the_good_copy(open_page: Open, staged_comparison: StagedComparison) -> None:
    """The damaged copy with a good one elsewhere is the first thing on the overview, and leads to all that is known."""
    page = open_page("/", staged_comparison.user)
    expect(page.locator("#repairs h2")).to_contain_text("2 copies are damaged")
    assert page.locator("main section").first.get_attribute("aria-labelledby") == "repairs-head"
    page.locator("#repairs a", has_text="2018/a.jpg").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2018/a.jpg")
    expect(page.locator("main")).to_contain_text(
        "Restore the file from alpha.example.net:/srv/data, gamma.example.net:/srv/data"
    )
    page.get_by_role("link", name="Compare copies").click()
    expect(page.locator("table.matrix tbody tr")).to_have_count(1)
    expect(page.locator(".square-damaged")).to_have_count(1)
    expect(page.locator(".square-good")).to_have_count(2)


def test_a_content_is_declared_good_and_that_is_withdrawn(
    open_page: Open, shoot: Callable[[Page, str], None], staged_comparison: StagedComparison
) -> None:
    """With the keyboard alone, on a phone: the verdict follows at once, and goes back when it is withdrawn."""
    page = open_page(staged_comparison.pages["finding-damaged-copy"], staged_comparison.user, width=360)
    panel = page.locator("section[aria-labelledby=damage-head]")
    panel.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("The photographer edited it.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_contain_text("content declared good by a person")
    expect(panel).to_contain_text("declared this content good: The photographer edited it.")
    assert fits(page)
    shoot(page, "finding-declared-good")
    page.goto(staged_comparison.pages["file-of-group"])
    expect(panel).to_contain_text("The photographer edited it.")

    panel.locator("summary").click()
    panel.get_by_label("Reason").fill("It is rotten after all.")
    panel.get_by_role("button").click()
    expect(panel.locator("summary")).to_have_text("This content is good")
    shoot(page, "file-with-known-damage")
    page.goto(staged_comparison.pages["finding-damaged-copy"])
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("declared good")


def test_folded_branches_filters_and_paging(open_page: Open, staged_comparison: StagedComparison) -> None:
    """Only the branches that differ are there; they open, are filtered by replica and kind, and go on page by page."""
    page = open_page(staged_comparison.pages["group"], staged_comparison.user)
    expect(page.locator(".notice-alarm")).to_contain_text("Check beta.example.net first")
    page.get_by_role("link", name="2019/", exact=True).click()
    page.get_by_role("link", name="summer/", exact=True).click()
    expect(page.locator("details.entry")).to_have_count(100)
    page.get_by_role("link", name="Show more").focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.entry")).to_have_count(130)
    page.get_by_label("Affected replica").select_option(label="alpha.example.net /srv/data")
    page.get_by_role("button", name="Show", exact=True).last.click()
    expect(page.locator("main")).to_contain_text("No results.")
    page.goto(staged_comparison.pages["group"])
    page.get_by_role("link", name="newer version 1").click()
    expect(page.locator("table.matrix tbody tr")).to_have_count(1)
    expect(page.locator(".square-newer")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON Lines").click()
    assert download.value.suggested_filename.startswith("divergences-")


def test_a_directory_that_a_replica_lacks_wholly(
    open_page: Open, shoot: Callable[[Page, str], None], transactional_db: None
) -> None:
    """It is kept as one row; the pages show each path below it like any other, and one finding for all."""
    fleet = StagedGroup(3, name="Films")
    entries = [file(f"2019/{number}.mkv", str(number).encode()) for number in range(3)]
    lost = [file(f"2020/part-{number % 4}/{number:04}.mkv", str(number).encode() * 9) for number in range(1200)]
    fleet.runs([*entries, *lost], [*entries, *lost], entries)
    fleet.compare()
    assert Divergence.objects.get().number == 1200
    finding = Finding.objects.get(replica=None)
    page = open_page(f"/groups/{fleet.group.uuid}/", stage.make_user("administrator"))
    expect(page.get_by_role("link", name="missing 1,200")).to_be_visible()
    shoot(page, "group-absence")
    page.get_by_role("link", name="2020/", exact=True).click()
    page.get_by_role("link", name="part-3/", exact=True).click()
    expect(page.locator("details.entry")).to_have_count(100)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator("details.entry")).to_have_count(200)
    expect(page.locator("details.entry").last).to_contain_text("0799.mkv")
    page.locator("details.entry summary").last.click()
    shoot(page, "group-absence-path")
    page.goto(f"/groups/{fleet.group.uuid}/?search=1199.mkv")
    expect(page.locator("details.entry")).to_have_count(1)
    page.goto(f"/findings/{finding.uuid}/")
    where = f"{fleet.replicas[2].replica.server.name}:/srv/data"
    expect(page.get_by_role("heading", level=1)).to_have_text(f"1,200 paths below 2020/ are missing on {where}")
    shoot(page, "finding-absence")
