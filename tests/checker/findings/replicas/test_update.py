"""Findings between replicas over time: whom they concern, who leaves, and what is undone."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from checker.divergences import queries
from checker.divergences.evidence import ComparisonContext, build_evidence, replica_name
from checker.findings import actions, description, listing
from checker.findings.text.replicas import describe_copies
from checker.models import Finding, Participant
from checker.pages import overview
from tests.checker import stage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)


def kinds_between_replicas(state: str) -> list[str]:
    """Return the kinds of the findings between replicas that are in a state."""
    findings = Finding.objects.filter(replica=None, state=state).order_by("pk")
    return list(findings.values_list("kind", flat=True))


def archive(group: StagedGroup, index: int) -> None:
    """Take a replica out of use."""
    replica = group.replicas[index].replica
    replica.archived_at = timezone.now()
    replica.save()


def test_accepted_of_one_replica_is_not_accepted_of_another() -> None:
    """A replica that was not known to lack a path when that was accepted is told of later, in a new finding."""
    group = StagedGroup(3)
    group.runs([file("d/a", b"1"), file("z")], [file("z")], [error_row("d", "EIO", "list"), file("z")])
    group.compare()
    _first, second, third = (staged.replica.pk for staged in group.replicas)
    finding = Finding.objects.get(replica=None)
    assert finding.concerns == [second]

    actions.accept(finding, stage.make_user("operator"), "not needed there")
    group.run(2, [file("z")])
    assert group.divergences() == {"d/a": ("lost", "+--", "")}
    assert kinds_between_replicas("open") == ["lost"]
    assert kinds_between_replicas("accepted") == ["lost"]
    new_finding = Finding.objects.get(replica=None, state="open")
    assert new_finding.concerns == [second, third]

    actions.accept(new_finding, stage.make_user("operator"), "nor there")
    group.run(2, [error_row("d", "EIO", "list"), file("z")])
    group.compare()
    group.run(2, [file("z")])
    group.compare()
    assert kinds_between_replicas("open") == [], "what is accepted of both stays so"


def test_a_replica_that_leaves_proves_nothing() -> None:
    """When the only good copy leaves the group, what is damaged or missing on the others is so still."""
    group = StagedGroup(3)
    group.runs(*[[file("a", b"good"), file("only", b"1"), file("z")]] * 3)
    group.compare()
    for index in (1, 2):
        group.run(index, [file("a", b"rotten"), file("z")], rotten=["a"])
    assert group.divergences() == {"a": ("mismatch", "+++", "gdd"), "only": ("lost", "+--", "")}

    archive(group, 0)
    assert group.divergences() == {}
    assert sorted(kinds_between_replicas("open")) == ["lost", "mismatch"]

    for index in (1, 2):
        group.run(index, [file("a", b"good"), file("only", b"1"), file("z")])
    group.compare()
    assert kinds_between_replicas("open") == [], "both are mended"


def test_undone_when_it_is_over() -> None:
    """An accepted finding that was over before it was undone is resolved at once; one that goes on is open."""
    group = StagedGroup(2)
    group.runs([file("a", b"1"), file("b", b"2"), file("z")], [file("z")])
    group.compare()
    user = stage.make_user("operator")
    finished, unfinished = Finding.objects.filter(replica=None).order_by("path")
    for finding in (finished, unfinished):
        actions.accept(finding, user, "it will come")

    group.run(1, [file("a", b"1"), file("z")])
    group.compare()
    for finding in (finished, unfinished):
        actions.undo(finding, user, "it should have come")
    assert finished.state == "resolved"
    assert unfinished.state == "open"
    actions_of_finished = [entry.action for entry in finished.audit_entries.all()]
    assert actions_of_finished == ["opened", "accepted", "undone", "resolved"]


def test_what_is_not_damaged_any_more_is_not_critical() -> None:
    """A finding says of a path what the newest comparison says; only damage that can be repaired is listed first."""
    group = StagedGroup(2)
    paths = ("d/a", "d/b", "e")
    group.runs(*[[file(path, b"good") for path in paths]] * 2)
    group.compare()
    group.run(1, [file(path, b"other") for path in paths], rotten=paths)
    assert set(group.divergences().values()) == {("mismatch", "++", "gd")}

    damage = {finding.path: finding for finding in Finding.objects.filter(replica=None)}
    assert {finding.severity for finding in damage.values()} == {Finding.Severity.CRITICAL}
    repairs = listing.list_repairable(2)
    assert (len(repairs.findings), repairs.damaged_copies, repairs.has_more) == (2, 3, True)

    group.run(1, [file(path, b"good") for path in paths])
    group.run(1, [file(path, b"second", mtime_ns=LATER_MTIME - 10**9) for path in paths])
    group.run(0, [file(path, b"third", mtime_ns=LATER_MTIME) for path in paths])
    assert set(group.divergences().values()) == {("mismatch", "++", "uu")}
    mismatches = Finding.objects.filter(replica=None, state="open")
    assert {finding.path: finding.pk for finding in mismatches} == {
        path: finding.pk for path, finding in damage.items()
    }
    for finding in mismatches:
        assert finding.severity == Finding.Severity.WARNING
        assert description.title(finding) == f"contents differ: {finding.path}"
        assert [entry.action for entry in finding.audit_entries.all()] == ["opened", "seen_again"]
    assert listing.list_repairable(2) == ([], 0, False)

    group.run(1, [file(path, b"third", mtime_ns=LATER_MTIME) for path in paths])
    assert group.divergences() == {}
    assert kinds_between_replicas("open") == []


def test_damage_that_is_everywhere_is_not_resolved() -> None:
    """When the damage was copied over the good copies all is alike, and nothing is mended: a good backup is needed."""
    group = StagedGroup(3)
    group.runs(*[[file("a", b"good"), file("z")]] * 3)
    group.compare()
    group.run(1, [file("a", b"rotten"), file("z")], rotten=["a"])
    assert group.divergences() == {"a": ("mismatch", "+++", "gdg")}
    for index in (0, 2):
        group.run(index, [file("a", b"rotten"), file("z")])
    assert group.divergences() == {}

    finding = Finding.objects.get(replica=None)
    assert finding.state == "open"
    assert finding.severity == Finding.Severity.CRITICAL

    words = description.describe(finding)
    participants = Participant.objects.select_related("replica__server")
    names = ", ".join(replica_name(participant) for participant in participants)
    assert words.title == f"damaged on {names}, no copy known to be good: a"
    assert "older backup" in " ".join(words.next_steps)
    assert "good" not in " ".join(words.reasons)
    assert [reason.split(": ", 1)[1].split(",")[0] for reason in words.reasons[1:4]] == ["damaged"] * 3
    spread = "it has content that appeared on some replica through damage"
    assert sum(spread in reason for reason in words.reasons) == 2

    rows = overview.read_overview(timezone.now()).sections[0].rows
    assert len(rows) == 3
    assert {row.assessment.status for row in rows} == {"damaged"}

    revision = actions.revision(finding)
    group.run(2, [file("a", b"rotten"), file("z", b"news")])
    group.compare()
    finding.refresh_from_db()
    assert actions.revision(finding) == revision, "there is nothing new to look at"

    group.run(2, [file("a", b"good"), file("z")])
    assert group.divergences() == {"a": ("mismatch", "+++", "ddg")}
    finding.refresh_from_db()
    assert "good on " in description.title(finding)
    assert finding.state == "open"

    group.runs(*[[file("a", b"good"), file("z")]] * 3)
    assert group.divergences() == {}
    assert kinds_between_replicas("open") == []


def test_who_lacks_what() -> None:
    """A folded finding names the replicas that lack some of its paths now, and of each path who lacks it."""
    group = StagedGroup(3)
    files = [file(f"2019/{number}", b"%d" % number) for number in range(3)]
    group.runs([files[0], file("b"), file("z")], [*files[1:], file("z")], [files[0], file("z")])
    group.compare()
    first, second, third = (f"{staged.replica.server.name}:/srv/data" for staged in group.replicas)
    finding = Finding.objects.get(replica=None, folded=True)
    assert description.title(finding) == (f"3 paths below 2019/ are missing on {first} (2), {second} (1), {third} (2)")

    client = Client()
    client.force_login(stage.make_user("viewer"))
    page = " ".join(client.get(f"/findings/{finding.uuid}/").content.decode().split())
    assert page.count(f'<span class="muted">missing: {second}</span>') == 1
    assert page.count(f'<span class="muted">missing: {first}, {third}</span>') == 2

    group.run(0, [*files, file("b"), file("z")])
    group.run(2, [*files, file("z")])
    assert group.divergences() == {"2019/0": ("lost", "+-+", ""), "b": ("lost", "+--", "")}
    finding.refresh_from_db()
    assert description.title(finding) == f"1 path below 2019/ is missing on {second}"
    assert len(finding.concerns) == 3, "what is missing again on one of them is nothing new"


def test_where_a_moved_file_is() -> None:
    """The words on a copy at another path name that path."""
    group = StagedGroup(2)
    group.runs([file("a/x", b"1")], [file("b/x", b"1")])
    context = ComparisonContext(group.compare())
    divergence = queries.read_divergence(context.comparison.pk, "a/x")
    assert divergence is not None

    histories = queries.read_path_histories(context.compared, ["a/x"])
    lines = describe_copies(divergence.kind, build_evidence(context, divergence, histories["a/x"]))
    assert lines[1].endswith("at another path → b/x")
