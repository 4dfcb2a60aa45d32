"""Findings between replicas over time: who they concern, who leaves, and what is undone."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from checker.divergences import queries
from checker.divergences.evidence import ComparisonContext, build_evidence, replica_name
from checker.findings import actions, description, listing
from checker.findings.text import replicas as between_words
from checker.models import Finding, Participant
from checker.pages import overview
from tests.checker import stage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)


def between(**wanted: object) -> list[str]:
    """The kinds of the findings between replicas."""
    return list(Finding.objects.filter(replica=None, **wanted).order_by("pk").values_list("kind", flat=True))


def test_accepted_of_one_is_not_accepted_of_another() -> None:
    """Who was not known to lack a path when that was accepted is told when he is: in a new finding."""
    fleet = StagedGroup(3)
    fleet.runs([file("d/a", b"1"), file("z")], [file("z")], [error_row("d", "EIO", "list"), file("z")])
    fleet.compare()
    finding = Finding.objects.get(replica=None)
    assert finding.concerns == [fleet.replicas[1].replica.pk]
    actions.accept(finding, stage.make_user("operator"), "not needed there")
    fleet.run(2, [file("z")])
    assert fleet.divergences() == {"d/a": ("lost", "+--", "")}
    assert between(state="open") == ["lost"] and between(state="accepted") == ["lost"]
    fresh = Finding.objects.get(replica=None, state="open")
    assert fresh.concerns == [fleet.replicas[1].replica.pk, fleet.replicas[2].replica.pk]
    actions.accept(fresh, stage.make_user("operator"), "nor there")
    fleet.run(2, [error_row("d", "EIO", "list"), file("z")])
    fleet.compare()
    fleet.run(2, [file("z")])
    fleet.compare()
    assert between(state="open") == [], "what is accepted of both stays so"


def archive(fleet: StagedGroup, at: int) -> None:
    """Take a replica out of use."""
    replica = fleet.replicas[at].replica
    replica.archived_at = timezone.now()
    replica.save()


def test_who_leaves_proves_nothing() -> None:
    """When the only good copy leaves the group, what is damaged or lost on the others is so still."""
    fleet = StagedGroup(3)
    fleet.runs(*[[file("a", b"good"), file("only", b"1"), file("z")]] * 3)
    fleet.compare()
    for at in (1, 2):
        fleet.run(at, [file("a", b"rotten"), file("z")])
    assert fleet.divergences() == {"a": ("mismatch", "+++", "gdd"), "only": ("lost", "+--", "")}
    archive(fleet, 0)
    assert fleet.divergences() == {}
    assert sorted(between(state="open")) == ["lost", "mismatch"]
    for at in (1, 2):
        fleet.run(at, [file("a", b"good"), file("only", b"1"), file("z")])
    fleet.compare()
    assert between(state="open") == [], "both are mended"


def test_undone_when_it_is_over() -> None:
    """An accepted finding that was over before it was undone is resolved at once; one that goes on is open."""
    fleet = StagedGroup(2)
    fleet.runs([file("a", b"1"), file("b", b"2"), file("z")], [file("z")])
    fleet.compare()
    user = stage.make_user("operator")
    one, other = Finding.objects.filter(replica=None).order_by("path")
    for finding in (one, other):
        actions.accept(finding, user, "it will come")
    fleet.run(1, [file("a", b"1"), file("z")])
    fleet.compare()
    for finding in (one, other):
        actions.undo(finding, user, "it should have come")
    assert (one.state, other.state) == ("resolved", "open")
    assert [entry.action for entry in one.audit_entries.all()] == ["opened", "accepted", "undone", "resolved"]


def test_what_is_not_damaged_any_more_is_not_grave() -> None:
    """A finding says of a path what the newest comparison says; only a damage that can be repaired is told first."""
    fleet, paths = StagedGroup(2), ("d/a", "d/b", "e")
    fleet.runs(*[[file(path, b"good") for path in paths]] * 2)
    fleet.compare()
    fleet.run(1, [file(path, b"other") for path in paths])
    assert set(fleet.divergences().values()) == {("mismatch", "++", "gd")}
    before = {one.path: one for one in Finding.objects.filter(replica=None)}
    assert {one.severity for one in before.values()} == {Finding.Severity.CRITICAL}
    repairs = listing.list_repairable(2)
    assert (len(repairs.findings), repairs.damaged_copies, repairs.has_more) == (2, 3, True)
    fleet.run(0, [file(path, b"third") for path in paths])
    assert set(fleet.divergences().values()) == {("mismatch", "++", "uu")}
    after = Finding.objects.filter(replica=None, state="open")
    assert {one.path: one.pk for one in after} == {path: one.pk for path, one in before.items()}
    for one in after:
        assert one.severity == Finding.Severity.WARNING and description.title(one) == f"contents differ: {one.path}"
        assert [entry.action for entry in one.audit_entries.all()] == ["opened", "seen_again"]
    assert listing.list_repairable(2) == ([], 0, False)
    fleet.run(1, [file(path, b"third") for path in paths])
    assert fleet.divergences() == {} and between(state="open") == []


def test_damage_that_is_everywhere_is_not_resolved() -> None:
    """When the damage was copied over the good copies all is alike, and nothing is mended: a good backup is needed."""
    fleet = StagedGroup(3)
    fleet.runs(*[[file("a", b"good"), file("z")]] * 3)
    fleet.compare()
    fleet.run(1, [file("a", b"rotten"), file("z")])
    assert fleet.divergences() == {"a": ("mismatch", "+++", "gdg")}
    for at in (0, 2):
        fleet.run(at, [file("a", b"rotten"), file("z")])
    assert fleet.divergences() == {}
    finding = Finding.objects.get(replica=None)
    said, names = (
        description.describe(finding),
        [replica_name(one) for one in Participant.objects.select_related("replica__server")],
    )
    assert (finding.state, finding.severity) == ("open", Finding.Severity.CRITICAL)
    assert said.title == f"damaged on {', '.join(names)}, no copy known to be good: a"
    assert "older backup" in " ".join(said.next_steps) and "good" not in " ".join(said.reasons)
    assert [line.split(": ", 1)[1].split(",")[0] for line in said.reasons[1:4]] == ["damaged"] * 3
    assert sum("appeared on some replica through damage" in line for line in said.reasons) == 2
    rows = overview.read_overview(timezone.now()).sections[0].rows
    assert [row.assessment.status for row in rows] == ["damaged"] * 3
    seen = actions.revision(finding)
    fleet.run(2, [file("a", b"rotten"), file("z", b"news")])
    fleet.compare()
    finding.refresh_from_db()
    assert actions.revision(finding) == seen, "there is nothing new to look at"
    fleet.run(2, [file("a", b"good"), file("z")])
    assert fleet.divergences() == {"a": ("mismatch", "+++", "ddg")}
    finding.refresh_from_db()
    assert "good on " in description.title(finding) and finding.state == "open"
    fleet.runs(*[[file("a", b"good"), file("z")]] * 3)
    assert fleet.divergences() == {} and between(state="open") == []


def test_who_lacks_what() -> None:
    """Of paths that are told together those are named who lack some of them now, and of each path who lacks it."""
    fleet = StagedGroup(3)
    some = [file(f"2019/{at}", b"%d" % at) for at in range(3)]
    fleet.runs([some[0], file("b"), file("z")], [*some[1:], file("z")], [some[0], file("z")])
    fleet.compare()
    one, two, three = (f"{world.replica.server.name}:/srv/data" for world in fleet.replicas)
    finding = Finding.objects.get(replica=None, folded=True)
    said = "3 paths below 2019/ are missing on"
    assert description.title(finding) == f"{said} {one} (2), {two} (1), {three} (2)"
    client = Client()
    client.force_login(stage.make_user("viewer"))
    page = " ".join(client.get(f"/findings/{finding.uuid}/").content.decode().split())
    assert page.count(f'<span class="muted">missing: {two}</span>') == 1
    assert page.count(f'<span class="muted">missing: {one}, {three}</span>') == 2
    fleet.run(0, [*some, file("b"), file("z")])
    fleet.run(2, [*some, file("z")])
    assert fleet.divergences() == {"2019/0": ("lost", "+-+", ""), "b": ("lost", "+--", "")}
    finding.refresh_from_db()
    assert description.title(finding) == f"1 path below 2019/ is missing on {two}"
    assert len(finding.concerns) == 3, "what is missing again on one of them is nothing new"


def test_where_a_moved_file_is() -> None:
    """What is said of a copy that lies elsewhere names the place."""
    fleet = StagedGroup(2)
    fleet.runs([file("a/x", b"1")], [file("b/x", b"1")])
    context = ComparisonContext(fleet.compare())
    row = queries.read_divergence(context.comparison.pk, "a/x")
    assert row is not None
    said = between_words.describe_copies(
        row.kind, build_evidence(context, row, queries.read_path_histories(context.compared, ["a/x"])["a/x"])
    )
    assert said[1].endswith("at another path → b/x")
