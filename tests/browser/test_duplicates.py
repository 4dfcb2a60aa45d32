"""The pages of duplicates in a real browser, over real runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.test_pages import PHONE, look_at_each, looks
from tests.checker import stage
from tests.checker.duplicates.test_queries import add_replica
from tests.checker.staged_replica import StagedReplica, file

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "evil\n\x1b[31m\u202egpj.<script>alert(1)<"
LONG = "long/" + "/".join(["d" * 250] * 15)


class StagedDuplicates(NamedTuple):
    """Data that the pages show."""

    user: User
    pages: dict[str, str]


@pytest.fixture
def staged_duplicates(transactional_db: None) -> StagedDuplicates:
    """A group of three replicas: many contents twice on the first one, some once on the second, no run of the third."""
    world = StagedReplica(name="Photos")
    photos = [b"photo %d" % number * (number + 1) for number in range(70)]
    twice = [
        file(f"{name}/IMG_{number:04}.jpg", entry)
        for name in ("2019/summer", "copy")
        for number, entry in enumerate(photos)
    ]
    big = b"x" * 3_000_000
    rest = [file("backup.tar", big), file("linked.tar", big, detail="backup.tar"), file(HOSTILE, big), file(LONG, big)]
    world.run([*twice, *rest, *(file(f"many/{number:03}", b"same") for number in range(40)), file("only", b"one")])
    other = add_replica(world, "/srv/second copy")
    other.run([file("backup.tar", big), file("2019/IMG_0001.jpg", photos[1]), file("again.jpg", photos[1])])
    third = add_replica(world, "/srv/third")
    single = StagedReplica(name="single")
    single.run([file("a")])
    replica = world.replica
    group = world.replica.group
    return StagedDuplicates(
        stage.make_user("administrator"),
        {
            "duplicates": f"/replicas/{replica.uuid}/duplicates/",
            "duplicates-search": f"/replicas/{replica.uuid}/duplicates/?search=linked",
            "duplicates-no-fit": f"/replicas/{replica.uuid}/duplicates/?search=nowhere",
            "duplicates-group": f"/groups/{group.uuid}/duplicates/",
            "duplicates-none": f"/replicas/{single.replica.uuid}/duplicates/",
            "duplicates-no-run": f"/replicas/{third.replica.uuid}/duplicates/",
            "duplicates-link": f"/replicas/{replica.uuid}/",
        },
    )


@pytest.mark.parametrize(("language", "scheme", "width"), looks(PHONE))
def test_the_pages(
    open_page: Open,
    shoot: Callable[[Page, str], None],
    staged_duplicates: StagedDuplicates,
    language: str,
    scheme: Any,
    width: int,
) -> None:
    """Every page fits, is readable, has names for what can be used, and obeys no hostile name."""
    page = open_page("/", staged_duplicates.user, language, width, color_scheme=scheme)
    look_at_each(page, staged_duplicates.pages, shoot, f"{language}-{scheme}-{width}")


def test_keyboard_and_paging(open_page: Open, staged_duplicates: StagedDuplicates) -> None:
    """From the replica's page to its duplicates, to more of them and to the life of a path, by the keyboard alone."""
    page = open_page(staged_duplicates.pages["duplicates-link"], staged_duplicates.user)
    page.get_by_role("link", name="Duplicates").focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.entry")).to_have_count(50)
    page.get_by_role("link", name="Show more").focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.entry")).to_have_count(72)
    page.locator("details.entry summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".hardlink").first).to_contain_text("hard link to backup.tar")
    page.locator(".members a").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("backup.tar")


def test_without_scripts(open_page: Open, staged_duplicates: StagedDuplicates) -> None:
    """Search, the next page and the names work where no script runs."""
    page = open_page(staged_duplicates.pages["duplicates"], staged_duplicates.user, java_script_enabled=False)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator("details.entry")).to_have_count(22)
    page.get_by_role("searchbox").fill("linked")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("details.entry")).to_have_count(1)
    page.locator("details.entry summary").click()
    expect(page.locator(".hardlink")).to_be_visible()


def test_a_download(open_page: Open, staged_duplicates: StagedDuplicates) -> None:
    """The file of a group is named after the group's id and holds what the page shows."""
    page = open_page(staged_duplicates.pages["duplicates-group"], staged_duplicates.user)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith("duplicates-")
    content = download.value.path().read_text(encoding="utf-8")
    assert "linked.tar,backup.tar" in content and content.count("many/") == 40
