"""The pages of findings, and what a person decides there, over real runs."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from checker.findings import actions
from checker.models import Finding
from tests.checker import stage
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.checker.views.pages import get
from tests.checker.views.staged_history import staged_history

pytestmark = pytest.mark.django_db(transaction=True)


def act_address(finding: Finding, action: str) -> str:
    """Return where a decision about a finding is posted to."""
    return reverse("finding-act", args=[finding.uuid, action])


def seen_revision(page: str) -> str:
    """Return what the page's form sends back of the finding that its reader has seen."""
    (revision,) = re.findall(r'name="seen" value="([^"]+)"', page)
    return str(revision)


def checkbox_values(page: str) -> list[str]:
    """Return the values of the boxes that select findings."""
    return re.findall(r'name="finding"\s+value="([^"]+)"', page)


def test_accepting_and_undoing(viewer: Client, operator: Client) -> None:
    """Who may act accepts with a reason and undoes it; who may only see pages cannot."""
    staged_history()
    listed = get(viewer, reverse("findings"))
    assert listed.count("finding-link") == 2 and "corrupted: d/sub/a" in listed
    finding = Finding.objects.get(kind="corrupted")
    address = reverse("finding", args=[finding.uuid])
    page = get(viewer, address)
    assert "act-form" not in page and "These reads did not come from cache" in page
    assert "Restore" not in page.split("<h1")[0]
    accept = act_address(finding, "accept")
    assert viewer.post(accept, {"reason": "x"}).status_code == 403

    assert operator.get(accept).status_code == 405
    assert "act-form" in get(operator, address)
    seen = {"seen": seen_revision(get(operator, address))}
    assert operator.post(accept, {"reason": ""} | seen).status_code == 422
    assert operator.post(accept, {"reason": "known <b>", "until": "2020-01-01"} | seen).status_code == 422
    assert operator.post(accept, {"reason": "known <b>"}).status_code == 422
    assert operator.post(accept, {"reason": "known <b>"} | seen).status_code == 302
    assert operator.post(accept, {"reason": "twice"} | seen).status_code == 422
    accepted_page = get(operator, address)
    assert "known &lt;b&gt;" in accepted_page and "<b>" not in accepted_page

    assert operator.post(act_address(finding, "undo"), {"reason": "no"}).status_code == 302
    finding.refresh_from_db()
    assert finding.state == "open"
    assert operator.post(act_address(finding, "other"), {"reason": "x"}).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(stage.make_user("operator"))
    assert strict.post(accept, {"reason": "x"}).status_code == 403


def test_several_findings_at_once(operator: Client) -> None:
    """Several findings are accepted for one reason, but never damage."""
    staged_history()
    damage = Finding.objects.get(kind="corrupted")
    unreadable = Finding.objects.get(kind="unreadable")
    listed = get(operator, reverse("findings") + "?kind=unreadable")
    assert f"{reverse('findings-accept')}?kind=unreadable" in listed
    (selected,) = checkbox_values(listed)
    assert selected.startswith(f"{unreadable.uuid} ")

    address = reverse("findings-accept")
    damage_value = f"{damage.uuid} {actions.revision(damage)}"
    operator.post(address, {"finding": [damage_value, selected], "reason": "all"})
    operator.post(address, {"finding": [unreadable.uuid], "reason": "unseen"})
    assert Finding.objects.filter(state="open").count() == 2
    response = operator.post(address + "?kind=unreadable", {"finding": [selected, "nonsense"], "reason": "rights"})
    assert response["Location"] == reverse("findings") + "?kind=unreadable"
    unreadable.refresh_from_db()
    assert unreadable.state == "accepted" and unreadable.reason == "rights"


def test_filters(operator: Client) -> None:
    """Every filter of the list is answered, whatever it holds; a made-up place in the list is not found."""
    staged_history()
    address = reverse("findings")
    for query in (
        "?state=accepted",
        "?kind=unreadable&state=",
        "?severity=2",
        "?search=top&state=",
        "?group=x",
        "?severity=x",
    ):
        get(operator, address + query)
    get(operator, address + "?after=x", 404)


@pytest.mark.parametrize("change", ["grows", "gets graver", "is held again"])
def test_nothing_is_accepted_unseen(operator: Client, change: str) -> None:
    """A finding that grew or became more severe since the page was loaded is refused, and accepted once it was seen."""
    is_held = change == "is held again"
    group = {"limit_files": 0} if is_held else {"policy": "append_only", "limit_files": 1000}
    replica = StagedReplica(**group)
    names = [f"d/{number:02d}" for number in range(60)]
    for removed in (0, 30):
        replica.run([file(name, name.encode()) for name in names[removed:]])
        replica.compare()
    finding = Finding.objects.get()
    address = reverse("finding", args=[finding.uuid])
    listed = get(operator, reverse("findings"))
    act = act_address(finding, "release" if is_held else "accept")
    stale_form = {"reason": "tidied up", "seen": seen_revision(get(operator, address))}

    if change == "gets graver":
        Finding.objects.update(severity=Finding.Severity.CRITICAL)
    else:
        replica.run([file(name, name.encode()) for name in names[55:]])
        replica.compare()
    response = operator.post(act, stale_form)
    page = response.content.decode()
    assert response.status_code == 422 and "Check it again" in page
    assert seen_revision(page) != stale_form["seen"]
    if change == "grows":
        form = {"finding": checkbox_values(listed), "reason": "tidied up"}
        response = operator.post(reverse("findings-accept"), form, follow=True)
        assert "Check it again" in response.content.decode()
    assert Finding.objects.get().state == "open"

    assert operator.post(act, stale_form | {"seen": seen_revision(page)}).status_code == 302
    assert Finding.objects.get().state == "accepted"


def test_a_folded_finding_lists_its_paths(viewer: Client) -> None:
    """A folded finding shows each path that it stands for, page by page."""
    replica = StagedReplica(policy="immutable", limit_files=1000)
    replica.run([file(f"d/{number:03d}", str(number).encode()) for number in range(150)])
    replica.run([file(f"d/{number:03d}", b"x" + str(number).encode(), mtime_ns=LATER_MTIME) for number in range(150)])
    replica.compare()
    finding = Finding.objects.get(kind="modified")
    address = reverse("finding", args=[finding.uuid])
    page = get(viewer, address)
    assert page.count("entry-name") == 100
    next_page = re.search(r'href="(\?after=[^"]+)"', page)
    assert next_page is not None
    assert get(viewer, address + next_page[1]).count("entry-name") == 50


def test_findings_on_replica_and_overview(viewer: Client) -> None:
    """The status is that of what is open, in one line that leads to it; the chart shows changes by kind."""
    replica = staged_history()
    page = get(viewer, reverse("replica", args=[replica.replica.uuid]))
    assert "state-damaged" in page and "piece-corrupted" in page and "findings-short" in page
    overview = get(viewer, "/")
    assert "corrupted: d/sub/a (since run 3)" in overview and "count-bad" in overview
    with translation.override("ru"):
        viewer.cookies["django_language"] = "ru"
        assert get(viewer, reverse("findings"))


def test_nobody_decides_without_a_login() -> None:
    """The pages send strangers to the login, and what they post changes nothing."""
    staged_history()
    finding = Finding.objects.first()
    assert finding is not None
    for address in (reverse("findings"), reverse("finding", args=[finding.uuid])):
        response = Client().get(address)
        assert response.status_code == 302 and "/login/" in response["Location"], address
    assert Client().post(act_address(finding, "accept"), {"reason": "x"}).status_code == 302
    finding.refresh_from_db()
    assert finding.state == "open"
