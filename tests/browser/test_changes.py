"""The pages of changes, findings and paths in a real browser, over real runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from checker.models import Finding
from scanner.format.records import Record
from scanner.models import Run
from tests.browser.conftest import Open
from tests.browser.test_pages import PHONE, look_at_each, looks
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner import factories
from tests.scanner.factories import error_row, link_row

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "evil\n\x1b[31m\u202egpj.<script>alert(1)<"
LONG = "long/" + "/".join(["d" * 250] * 15)


class StagedChanges(NamedTuple):
    """Data that the pages show."""

    user: User
    world: StagedReplica
    pages: dict[str, str]


@pytest.fixture
def staged_changes(transactional_db: None) -> StagedChanges:
    """A replica with every kind of change, findings, a held one, and a second replica of the group."""
    world = StagedReplica(name="Photos")
    photos = [file(f"2019/summer/IMG_{number:04}.jpg", str(number).encode() * 50) for number in range(160)]
    rest: list[Record] = [file("2018/a.jpg", b"a"), file("2018/b.jpg", b"b"), file(HOSTILE, b"c"), file(LONG, b"d")]
    world.run([*photos, *rest, link_row("latest", "2018"), file("notes.txt", b"n"), file("secret", b"s")])
    first = world.replica.runs.get(sequence=1)
    world.run([], outcome="failed")
    changed: list[Record] = [
        *(file(row.path, b"edited" + row.path.encode(), mtime_ns=LATER_MTIME) for row in photos[:120]),
        *photos[121:],
        file("2018/a.jpg", b"rotten"),
        confirmed_note("2018/a.jpg", str(first.uuid)),
        file("2020/b.jpg", b"b"),
        file(HOSTILE, b"rewritten"),
        file(LONG, b"d", mode=0o100600),
        link_row("latest", "2019"),
        error_row("secret"),
        file("new/file", b"new"),
    ]
    last = world.run(changed)
    comparison = world.compare()
    for run in (first, last):
        stage.make_proof(run)
    other = factories.make_replica(group=world.replica.group, root="/srv/second")
    far = StagedReplica(name="elsewhere")
    far.replica = other
    far.signer = factories.make_key(other.server)
    far.run([file("2018/a.jpg", b"a")])
    far.compare()
    assert comparison.counts["modified"] == 120
    return StagedChanges(stage.make_user("administrator"), world, addresses(world, first, last))


def addresses(world: StagedReplica, first: Run, last: Run) -> dict[str, str]:
    """The pages by a word for each."""
    damage = Finding.objects.get(kind="corrupted")
    held = Finding.objects.get(kind="mass_change")
    return {
        "diff": f"/runs/{last.uuid}/changes/",
        "diff-tree": f"/runs/{last.uuid}/changes/?view=tree",
        "diff-below": f"/runs/{last.uuid}/changes/?view=tree&below=2018/",
        "diff-kind": f"/runs/{last.uuid}/changes/?kind=corrupted&kind=rewritten",
        "diff-first": f"/runs/{first.uuid}/changes/",
        "findings": "/findings/",
        "findings-none": "/findings/?state=resolved",
        "finding-damage": f"/findings/{damage.uuid}/",
        "finding-held": f"/findings/{held.uuid}/",
        "file": f"/replicas/{world.replica.uuid}/file/?path=2018/a.jpg",
        "file-hostile": f"/replicas/{world.replica.uuid}/file/?path={quote(HOSTILE)}",
        "file-long": f"/replicas/{world.replica.uuid}/file/?path={LONG}",
        "replica-held": f"/replicas/{world.replica.uuid}/",
        "overview-held": "/",
    }


@pytest.mark.parametrize(("language", "scheme", "width"), looks(PHONE))
def test_the_pages(
    open_page: Open,
    shoot: Callable[[Page, str], None],
    staged_changes: StagedChanges,
    language: str,
    scheme: Any,
    width: int,
) -> None:
    """Every page fits, is readable, has names for what can be used, and obeys no hostile name."""
    page = open_page("/", staged_changes.user, language, width, color_scheme=scheme)
    look_at_each(page, staged_changes.pages, shoot, f"{language}-{scheme}-{width}")


def test_accept_undo_and_release(open_page: Open, staged_changes: StagedChanges) -> None:
    """A person accepts damage with a reason, undoes it, and releases what is held; the overview follows."""
    page = open_page("/", staged_changes.user)
    assert page.locator(".replica-cell .state").first.inner_text() == "Damaged"
    page.locator(".lines").get_by_role("link", name="corrupted: 2018/a.jpg").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2018/a.jpg")
    page.get_by_label("Reason").fill("restored by hand tomorrow")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("status")).to_contain_text("accepted")
    page.goto("/")
    assert page.locator(".replica-cell .state").first.inner_text() == "On hold"
    page.locator(".lines").get_by_role("link", name="files were changed or removed").first.click()
    page.get_by_label("Reason").fill("the photos were converted")
    page.get_by_role("button", name="Release").click()
    page.goto("/")
    assert page.locator(".replica-cell .state").first.inner_text() == "Attention"
    page.goto("/findings/?state=accepted")
    page.get_by_role("link", name="corrupted: 2018/a.jpg").click()
    page.get_by_label("Reason").fill("by mistake")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("table")).to_contain_text("acceptance undone")
    page.goto("/")
    assert page.locator(".replica-cell .state").first.inner_text() == "Damaged"


def test_keyboard_and_paging(open_page: Open, staged_changes: StagedChanges) -> None:
    """A kind is chosen, a change opened and more of them fetched by the keyboard alone."""
    page = open_page(staged_changes.pages["diff"], staged_changes.user)
    page.get_by_role("link", name="modified 120").focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.entry")).to_have_count(100)
    page.get_by_role("link", name="Show more").focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.entry")).to_have_count(120)
    summary = page.locator("details.entry summary").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("table.sides").first).to_be_visible()
    page.get_by_role("link", name="File history").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("2019/summer/IMG_0000.jpg")


def test_two_far_runs_and_a_download(open_page: Open, staged_changes: StagedChanges) -> None:
    """Two numbers lead to the changes between them, and the file holds what the page shows."""
    staged_changes.world.run([file("2018/a.jpg", b"a")])
    page = open_page(staged_changes.pages["diff"], staged_changes.user)
    page.get_by_label("Compare run").fill("1")
    page.get_by_label("with run").fill("4")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".versus")).to_contain_text("run 1")
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON Lines").click()
    assert download.value.suggested_filename.endswith("-1-4.jsonl")


def test_several_findings_at_once(open_page: Open, staged_changes: StagedChanges) -> None:
    """Findings without damage are selected by a box and accepted together; damage has no box."""
    page = open_page("/findings/", staged_changes.user)
    expect(page.locator("tr", has_text="corrupted").locator("input[type=checkbox]")).to_have_count(0)
    for box in page.locator("input[name=finding]").all():
        box.check()
    page.get_by_text("Accept selected findings").click()
    page.get_by_label("Reason").fill("known")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("status")).to_contain_text("accepted")
    assert page.locator("input[name=finding]").count() == 0
