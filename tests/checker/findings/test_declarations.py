"""A declared content is good at once, and no other one; when that is withdrawn, it is damaged again."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from checker.findings import declarations, description
from checker.findings.actions import ActionRefused
from checker.jobs import group_comparisons
from checker.models import AuditEntry, Finding, KnownDamage
from tests.checker import stage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = file("a", b"good")
ROTTEN = file("a", b"rotten")
REST = file("z")


def make_damage() -> StagedGroup:
    """Return a group in which a file of the first replica rotted, as its collector confirmed."""
    group = StagedGroup(3)
    group.runs(*[[GOOD, REST]] * 3)
    group.run(0, [ROTTEN, REST], rotten=["a"])
    assert group.divergences()["a"][2] == "dgg"
    return group


def digest() -> str:
    """Return the one content that is known as damaged."""
    (sha256,) = {bytes(row.sha256).hex() for row in KnownDamage.objects.all()}
    return sha256


def declare(group: StagedGroup, user: User) -> None:
    """Declare the damaged content good, as the page does."""
    declarations.declare_good(group.group, "a", digest(), user, "the camera wrote it")
    group_comparisons.compare_again(group.group)


def withdraw(group: StagedGroup, user: User) -> None:
    """Withdraw that, as the page does."""
    declarations.withdraw(group.group, "a", digest(), user, "it was not")
    group_comparisons.compare_again(group.group)


def between() -> Finding:
    """Return the newest finding between the replicas."""
    return Finding.objects.filter(replica=None, path="a").latest("pk")


def of_replica() -> Finding:
    """Return the finding of the replica that has the content."""
    return Finding.objects.get(kind=Finding.Kind.CORRUPTED)


def actions_of(finding: Finding) -> list[str]:
    """Return the audit log of a finding, in short."""
    return list(finding.audit_entries.values_list("action", flat=True))


def test_the_verdicts_follow_at_once() -> None:
    """The content is good, the other one is not known to be, and the finding of the replica is closed."""
    group = make_damage()
    user = stage.make_user("operator")
    declare(group, user)
    assert group.divergences()["a"][2] == "guu"

    finding = between()
    assert (finding.state, finding.severity) == (Finding.State.OPEN, Finding.Severity.WARNING)
    assert description.title(finding) == "content declared good by a person: a"
    assert finding.evidence["damaged"] == []
    assert of_replica().state == Finding.State.ACCEPTED
    for each in (finding, of_replica()):
        entry = AuditEntry.objects.get(finding=each, action=AuditEntry.Action.DECLARED)
        assert entry.username == user.username
        assert entry.reason == "the camera wrote it"
        assert bytes(entry.sha256 or b"").hex() == digest()

    # The content spreads: it is good there, too, and the finding is over.
    for index in (1, 2):
        group.run(index, [ROTTEN, REST])
    assert group.divergences() == {}
    assert between().state == Finding.State.RESOLVED


def test_withdrawn_it_is_damaged_again() -> None:
    """Verdict, severity and the findings are as they were before the declaration."""
    group = make_damage()
    user = stage.make_user("operator")
    declare(group, user)
    withdraw(group, user)
    assert group.divergences()["a"][2] == "dgg"
    assert (between().state, between().severity) == (Finding.State.OPEN, Finding.Severity.CRITICAL)
    assert of_replica().state == Finding.State.OPEN
    assert actions_of(of_replica())[-2:] == ["declared", "withdrawn"]
    assert not KnownDamage.objects.filter(ended_at__isnull=False).exists()


def test_damage_on_every_replica() -> None:
    """A declaration about damage that has spread everywhere ends the finding, and withdrawn it opens again."""
    group = make_damage()
    for index in (1, 2):
        group.run(index, [ROTTEN, REST])
    assert group.divergences() == {}
    assert between().state == Finding.State.OPEN

    user = stage.make_user("operator")
    declare(group, user)
    assert between().state == Finding.State.RESOLVED
    assert description.title(between()) == "content declared good by a person: a"

    withdraw(group, user)
    finding = between()
    assert (finding.state, finding.severity) == (Finding.State.OPEN, Finding.Severity.CRITICAL)
    assert len(finding.evidence["damaged"]) == 3


def test_what_was_made_of_it_is_not_good_by_that() -> None:
    """An edit of the damage is in doubt before and after; only what was looked at is good."""
    group = StagedGroup(3)
    group.runs([ROTTEN, REST], [GOOD, REST], [GOOD, REST])
    assert group.divergences()["a"][2] == "dgg"
    group.run(1, [ROTTEN, REST])
    group.run(0, [file("a", b"edited", mtime_ns=LATER_MTIME), REST])
    before = group.divergences()["a"][2]
    assert before[0] == "u"
    declare(group, stage.make_user("operator"))
    after = group.divergences()["a"][2]
    assert after == "ugu"


def test_refusals() -> None:
    """Nothing is declared twice, without a reason, or of a content that no comparison called damaged."""
    group = make_damage()
    user = stage.make_user("operator")
    with pytest.raises(ActionRefused, match="reason"):
        declarations.declare_good(group.group, "a", digest(), user, " ")
    for path, sha256 in (("z", digest()), ("a", "00" * 32), ("a", "no digest")):
        with pytest.raises(ActionRefused, match="No comparison"):
            declarations.declare_good(group.group, path, sha256, user, "why")
    with pytest.raises(ActionRefused, match="Nobody"):
        declarations.withdraw(group.group, "a", digest(), user, "why")
    declare(group, user)
    with pytest.raises(ActionRefused, match="already"):
        declare(group, user)


def test_a_comparison_of_the_past_knows_it() -> None:
    """A moment that was compared before the declaration is compared anew."""
    group = make_damage()
    moment = group.compare().computed_at
    assert moment is not None
    comparison = group_comparisons.get_or_request(group.group, moment)
    assert comparison.counts["damaged"] == 1
    declare(group, stage.make_user("operator"))
    comparison = group_comparisons.get_or_request(group.group, moment)
    assert "damaged" not in comparison.counts
