"""Verdicts of real comparisons over time: what was damage stays so, and equal copies prove nothing."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from checker.findings import actions, description
from checker.models import Finding, KnownDamage
from scanner.format.records import Record
from scanner.models import Run
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = file("a", b"good")
ROTTEN = file("a", b"rotten")
EDITED = file("a", b"edited", mtime_ns=LATER_MTIME)
REST = file("z")


def rot(group: StagedGroup, index: int, entry: Record = ROTTEN) -> Run:
    """Let the next run of a replica find a file changed below the file system."""
    newest = group.replicas[index].replica.runs.latest("sequence")
    return group.run(index, [entry, REST, confirmed_note("a", str(newest.uuid))])


def verdicts(group: StagedGroup) -> str:
    """Compare the replicas, and return the verdicts on the copies of the file."""
    return group.divergences()["a"][2]


def open_finding() -> Finding:
    """Return the one open finding between replicas."""
    return Finding.objects.get(replica=None, state=Finding.State.OPEN)


def lead(group: StagedGroup, index: int) -> None:
    """Make a replica the primary."""
    replica = group.replicas[index].replica
    replica.leads = True
    replica.save()


def test_outvoted_once_is_damaged_for_good() -> None:
    """A content that was outvoted stays damaged wherever it is copied, whatever happens to the majority."""
    group = StagedGroup(3)
    group.runs([GOOD, REST], [ROTTEN, REST], [GOOD, REST])
    assert verdicts(group) == "gdg"
    finding = open_finding()
    assert finding.concerns == [group.replicas[1].replica.pk]

    group.run(2, [EDITED, REST])
    group.run(0, [ROTTEN, REST])
    assert verdicts(group) == "ddn"
    finding.refresh_from_db()
    assert finding.severity == Finding.Severity.CRITICAL

    known = KnownDamage.objects.order_by("replica_id")
    assert [(damage.replica_id, damage.ground) for damage in known] == [
        (group.replicas[0].replica.pk, "spread"),
        (group.replicas[1].replica.pk, "outvoted"),
    ]


def test_damage_outlives_the_replica_that_showed_it() -> None:
    """A replica that leaves the group takes its history away, and not what it proved."""
    group = StagedGroup(3)
    group.runs(*[[GOOD, REST]] * 3)
    rot(group, 0)
    group.run(1, [file("a", b"rotten", mtime_ns=LATER_MTIME), REST])
    assert verdicts(group) == "ddg"

    left = group.replicas[0].replica
    left.archived_at = left.created_at
    left.save()
    assert verdicts(group) == "dg"


def test_severity_stays_while_a_replica_is_on_hold() -> None:
    """A vote that is lost for a while makes damage no less."""
    group = StagedGroup(3)
    group.runs([GOOD, REST], [ROTTEN, REST], [GOOD, REST])
    assert verdicts(group) == "gdg"
    held = group.replicas[2].replica
    Finding.objects.create(
        group=group.group,
        replica=held,
        kind=Finding.Kind.MASS_CHANGE,
        severity=Finding.Severity.CRITICAL,
        folded=True,
        first_run=held.runs.latest("sequence"),
        last_run=held.runs.latest("sequence"),
    )
    assert verdicts(group) == "gdg"
    assert open_finding_of_damage().severity == Finding.Severity.CRITICAL


def open_finding_of_damage() -> Finding:
    """Return the open finding between replicas about the file."""
    return Finding.objects.get(replica=None, path="a", state=Finding.State.OPEN)


def test_rot_of_the_primary_does_not_lag() -> None:
    """Damage that was edited, and then spread, is neither allowed lag nor mended."""
    group = StagedGroup(2, relation="primary", lag=timedelta(hours=6))
    lead(group, 0)
    group.runs(*[[GOOD, REST]] * 2)
    rot(group, 0)
    assert group.divergences() == {"a": ("mismatch", "++", "dg")}

    group.run(0, [EDITED, REST])
    assert group.divergences() == {"a": ("mismatch", "++", "ug")}
    finding = open_finding()
    assert finding.severity == Finding.Severity.CRITICAL

    group.run(1, [EDITED, REST])
    assert group.divergences() == {}
    finding.refresh_from_db()
    assert finding.state == Finding.State.OPEN
    assert description.title(finding) == "every copy may be damaged: a"

    group.runs(*[[GOOD, REST]] * 2)
    assert group.divergences() == {}
    finding.refresh_from_db()
    assert finding.state == Finding.State.RESOLVED, "the content from before the damage is back"


def test_an_edit_that_keeps_the_time() -> None:
    """Both versions are named, nobody is told to overwrite one, and no copy is called damaged."""
    group = StagedGroup(3)
    group.runs(*[[GOOD, REST]] * 3)
    group.compare()
    group.run(0, [file("a", b"stamped"), REST])
    assert group.divergences() == {"a": ("mismatch", "+++", "uuu")}

    finding = open_finding()
    words = description.describe(finding)
    first, second, third = (f"{staged.replica.server.name}:/srv/data" for staged in group.replicas)
    assert finding.severity == Finding.Severity.WARNING
    assert words.title == f"changed on {first} with the date unchanged, earlier content on {second}, {third}: a"
    assert "Restore" not in " ".join(words.next_steps)


def test_accepted_damage_is_known_damage() -> None:
    """Accepting a finding says that somebody knows of the damage, and not that it is none."""
    group = StagedGroup(3)
    group.runs([GOOD, REST], [ROTTEN, REST], [GOOD, REST])
    group.compare()
    actions.accept(open_finding(), stage.make_user("operator"), "the disk is replaced next week")
    group.run(0, [ROTTEN, REST])
    assert verdicts(group) == "ddg"


def test_findings_of_one_path_are_closed_together(client: Client) -> None:
    """The finding of a replica and that between the replicas are linked, accepted, undone and resolved as one."""
    group = StagedGroup(3)
    group.runs(*[[GOOD, REST]] * 3)
    rot(group, 0)
    group.compare()
    between = open_finding()
    single = Finding.objects.get(kind=Finding.Kind.CORRUPTED)
    assert single.group_finding == between

    user = stage.make_user("operator")
    client.force_login(user)
    actions.accept(between, user, "known")
    single.refresh_from_db()
    assert single.state == Finding.State.ACCEPTED
    actions.undo(between, user, "not so well known")
    single.refresh_from_db()
    assert single.state == Finding.State.OPEN

    # The same the other way round, since no other replica is concerned.
    actions.accept(single, user, "known", timezone.now() + timedelta(milliseconds=200))
    between.refresh_from_db()
    assert between.state == Finding.State.ACCEPTED
    time.sleep(0.25)
    assert actions.reopen_expired() == 2
    for finding in (between, single):
        finding.refresh_from_db()
        assert finding.state == Finding.State.OPEN

    links_of_single = client.get(reverse("finding", args=[single.uuid])).content.decode()
    links_of_between = client.get(reverse("finding", args=[between.uuid])).content.decode()
    assert reverse("finding", args=[between.uuid]) in links_of_single
    assert reverse("finding", args=[single.uuid]) in links_of_between

    # An honest edit elsewhere takes the place of the damage: no copy of it is left, and none of what it was made of.
    group.run(1, [EDITED, REST])
    group.run(0, [GOOD, REST])
    for index in (0, 2):
        group.run(index, [EDITED, REST])
    assert group.divergences() == {}
    for finding in (between, single):
        finding.refresh_from_db()
        assert finding.state == Finding.State.RESOLVED


def test_a_rewrite_that_the_group_proves_to_be_damage_is_critical() -> None:
    """Damage that only the copy on another replica proves is critical in both findings of the path."""
    group = StagedGroup(3)
    group.runs(*[[GOOD, REST]] * 3)
    rot(group, 1)
    group.compare()
    group.run(0, [ROTTEN, REST])
    assert verdicts(group) == "ddg"

    rewritten = Finding.objects.get(kind=Finding.Kind.REWRITTEN)
    assert rewritten.group_finding == open_finding()
    assert rewritten.severity == Finding.Severity.CRITICAL
    assert "restore the file" in description.describe(rewritten).next_steps[0]
