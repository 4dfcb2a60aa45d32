"""Steps of judging that fail: the replica is unknown, the sentence names the step, and nothing else is held up."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from checker import tasks
from checker.changes import compare as run_changes
from checker.divergences import missing_directories
from checker.findings import update
from checker.models import Comparison, Participant, Proof, ProofAttempt
from checker.pages import replica_facts
from checker.pages.status import Assessment, Status, assess
from checker.proofs import verifier
from scanner.db.attempts import MAX_ATTEMPTS
from scanner.errors import SweepFailed
from scanner.models import Run
from tests.bench.hostile import SHAPES
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import StagedReplica, file

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = {
    "comparison": (run_changes, "find_changes", "of run 2 could not be determined. Its comparison has failed for"),
    "findings": (update, "update_findings", "findings of run 2 could not be updated. This has failed for"),
    "verification": (verifier, "store_proof", "Run 2 could not be verified. This has failed for"),
    "group": (missing_directories, "find_diverging", "could not be compared with each other. This has failed for"),
}
"""Step → the function to break, and what the sentence says."""


def sweep() -> int:
    """Do all of checker's work once, as the task cluster does each minute. Return how many sweeps failed."""
    failures = 0
    for task in (tasks.compare_new, tasks.verify_new, tasks.compare_groups):
        try:
            task()
        except SweepFailed:
            failures += 1
    return failures


def assessments() -> list[Assessment]:
    """Return what the overview says of each replica, in the order of their making."""
    replicas = replica_facts.replicas_in_use().order_by("pk")
    return [assess(facts) for facts in replica_facts.collect_facts(replicas, timezone.now())]


def texts(assessment: Assessment) -> str:
    """Return all reasons of an assessment."""
    return " ".join(reason.text for reason in assessment.reasons)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_makes_a_replica_unknown(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first failure until the step succeeds, and the work of another group goes on meanwhile."""
    module, name, sentence = STEPS[step]
    group = StagedGroup(2)
    other = StagedGroup(2)
    for staged in (*group.replicas, *other.replicas):
        staged.run([file("a")])
    assert sweep() == 0
    assert {assessment.status for assessment in assessments()} == {Status.PROVEN}

    with monkeypatch.context() as patch:
        work = getattr(module, name)
        poisoned = {group.replicas[0].replica.pk, *(replica.replica.pk for replica in group.replicas)}

        def fail_for_one_group(subject: Any, *arguments: Any, **options: Any) -> Any:
            first = subject[0] if isinstance(subject, list) else subject
            replica_id = getattr(first, "replica_id", None) or first.run.replica_id
            if replica_id in poisoned:
                raise ValueError("it cannot be")
            return work(subject, *arguments, **options)

        patch.setattr(module, name, fail_for_one_group)
        for staged in (*group.replicas, *other.replicas):
            staged.run([file("a"), file("b")])

        assert sweep() == 1
        assert [assessment.status for assessment in assessments()] == [Status.UNKNOWN] * 2 + [Status.PROVEN] * 2
        assert all(sentence in texts(assessment) for assessment in assessments()[:2])
        for _ in range(MAX_ATTEMPTS):
            sweep()
        assert sweep() == 0, "what keeps failing is set aside"
        assert [assessment.status for assessment in assessments()] == [Status.UNKNOWN] * 2 + [Status.PROVEN] * 2
        assert all(sentence in texts(assessment) for assessment in assessments()[:2])

    # A person has the work done again when the cause is gone.
    Comparison.objects.filter(state="set_aside").update(state="waiting", attempts=0)
    ProofAttempt.objects.update(state="waiting", attempts=0)
    for staged in group.replicas:
        staged.run([file("a"), file("b"), file("c")])
    assert sweep() == 0
    assert {assessment.status for assessment in assessments()[2:]} == {Status.PROVEN}
    assert {texts(assessment) for assessment in assessments()} == {""}


def test_a_verification_that_kills_its_worker_is_set_aside() -> None:
    """Attempts are counted before they start, and rotation goes on with the other runs."""
    staged = StagedReplica()
    for content in (b"1", b"2"):
        staged.run([file("a", content)])
    poison = Run.objects.get(sequence=1)
    ProofAttempt.objects.create(run=poison, attempts=MAX_ATTEMPTS)

    assert tasks.verify_new() == 1
    assert tasks.verify_new() == 0
    assert "Run 1 could not be verified" in texts(assessments()[0])
    assert Proof.objects.get().run.sequence == 2

    verifier.verify_run(poison)
    assert "could not be verified" not in texts(assessments()[0])


def test_a_statement_that_cannot_be_used_costs_its_own_vote() -> None:
    """The other replicas are compared, what they lack is found, and the page says who was left out."""
    group = StagedGroup(3)
    group.runs(*[[file("a")]] * 3)
    group.compare()
    assert {assessment.status for assessment in assessments()} == {Status.PROVEN}

    group.run(1, [file("a"), file("b")])
    run = group.run(2, [file("a"), file("b")])
    Run.objects.filter(pk=run.pk).update(envelope=b"{}")

    assert {path: kind for path, (kind, _cells, _judged) in group.divergences().items()} == {"b": "lost"}
    participant = Participant.objects.get(replica=group.replicas[2].replica)
    assert (participant.status, participant.run, participant.voter) == ("unusable", None, "")

    assert "its statement cannot be used" in texts(assessments()[2])
    assert assessments()[2].status == Status.UNKNOWN
    assert "cannot be used" not in texts(assessments()[1])


LIMIT = "SET statement_timeout = '15s'"
RESET = "RESET statement_timeout"
ENTRIES = 10_000
"""So many that a statement which tries each pair of them takes minutes."""


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_a_hostile_report_is_compared_in_time(shape: str) -> None:
    """Each statement costs what changed, and not its square: the honest shape passes, and so do the others."""
    staged = StagedReplica()
    with connection.cursor() as cursor:
        cursor.execute(LIMIT)
        try:
            for report in range(3):
                rows = [SHAPES[shape](number, report) for number in range(ENTRIES)]
                staged.run(sorted(rows, key=lambda row: str(row.path)))
                comparison = staged.compare()
                assert (comparison.state, comparison.reason) == ("done", "")
                assert verifier.verify_run(comparison.run).ok
        finally:
            cursor.execute(RESET)
