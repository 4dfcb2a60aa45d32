"""Compare groups as work: once for what is new, by one worker, whole after any death; beside a naive comparison."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from django_q.models import OrmQ

from checker import tasks
from checker.jobs import group_comparisons
from checker.models import Divergence, Finding, GroupComparison, Participant
from scanner.db.locks import LOCK, UNLOCK, LockClass
from scanner.export import report as export
from scanner.format.records import Record
from scanner.models import Run
from scanner.queue import registry
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.parameters import usual_first
from tests.scanner.factories import error_row, link_row
from tests.scanner.ingest.workers import killed_worker

pytestmark = pytest.mark.django_db(transaction=True)


def test_once_for_what_is_new() -> None:
    """A group is compared once for the same runs, however often it is asked for; a burst of runs is one comparison."""
    group = StagedGroup(3)
    group.runs(*[[file("a", b"1")]] * 3)
    assert group_comparisons.groups_to_compare(timezone.now()) == [group.group.pk]
    assert tasks.compare_groups() == 1
    assert tasks.compare_groups() == 0

    computed_at = group.compare().computed_at
    for _ in range(2):
        group.runs(*[[file("a", b"2")]] * 3)
    assert group_comparisons.catch_up(group.group.pk)
    assert not group_comparisons.catch_up(group.group.pk)

    assert GroupComparison.objects.count() == 1
    assert group.compare().computed_at != computed_at
    participants = Participant.objects.order_by("position")
    assert [participant.run.sequence for participant in participants if participant.run] == [3, 3, 3]


def test_a_run_wakes_its_group_when_it_is_proven() -> None:
    """Verification and comparison are tasks of their own: each wakes the group, and the last one has it compared."""
    group = StagedGroup(2)
    group.runs([file("a")], [file("a")])
    OrmQ.objects.all().delete()

    run = group.replicas[0].run([file("a", b"x")])
    assert tasks.catch_up(run.replica_id) == 1
    assert tasks.verify_run(run.pk)

    queued = [registry.decode(row.payload) for row in OrmQ.objects.all()]
    arguments = [call.arguments for call in queued if call.task.name == "checker.tasks.compare_replicas"]
    assert arguments == [(group.group.pk,)], "one wake-up waits for both"
    assert tasks.compare_replicas(group.group.pk)
    assert not tasks.compare_replicas(group.group.pk)


def test_only_what_is_proven_takes_part() -> None:
    """A run that is not proven, or not compared, does not stand for its replica."""
    group = StagedGroup(2)
    group.runs([file("a")], [file("a")])
    run = group.replicas[1].run([file("b")])
    group.replicas[1].compare()
    assert group.divergences() == {}, "run 2 was not verified"
    assert tasks.verify_run(run.pk)
    assert set(group.divergences()) == {"a", "b"}


def test_one_worker_at_a_time() -> None:
    """While another session compares a group, nothing is done twice."""
    group = StagedGroup(2)
    group.runs([file("a")], [file("a")])
    other = connections.create_connection("default")
    key = {"lock_class": int(LockClass.GROUP_COMPARISON), "key": group.group.pk}
    try:
        with other.cursor() as cursor:
            cursor.execute(LOCK, key)
            assert not group_comparisons.catch_up(group.group.pk)
            cursor.execute(UNLOCK, key)  # a lock dies with its session, but not before close() returns
    finally:
        other.close()
    assert group_comparisons.catch_up(group.group.pk)


WORKER = """
import os, signal, sys, django
django.setup()
from checker.divergences import compare, moves, store
from checker.findings.replicas import update
from checker.jobs import group_comparisons

module, name, after, group = sys.argv[1:]
module = {"compare": compare, "moves": moves, "store": store, "update": update}[module]
original = getattr(module, name)

def dying(*args, **kwargs):
    if after == "after":
        original(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, dying)
group_comparisons.catch_up(int(group))
"""


@pytest.mark.parametrize("when", usual_first(["after", "before"]))
@pytest.mark.parametrize(
    "point",
    [
        ("compare", "find_diverging"),
        ("moves", "pair_names"),
        ("store", "write_divergences"),
        ("update", "update_findings"),
    ],
    ids="-".join,
)
def test_killed_at_any_point(point: tuple[str, str], when: str) -> None:
    """A worker that dies leaves what was stored before, and the next one does it whole."""
    group = StagedGroup(2)
    group.runs([file("a", b"1"), file("b")], [file("a", b"1")])
    group.compare()
    group.run(1, [file("a", b"2"), file("c", b"c")])

    killed_worker(WORKER, *point, when, str(group.group.pk))
    assert {divergence.path: divergence.kind for divergence in Divergence.objects.all()} == {"b": "lost"}
    assert Finding.objects.filter(replica=None).count() == 1

    while not group_comparisons.catch_up(group.group.pk):  # until the database has seen that the worker died
        assert group_comparisons.groups_to_compare(timezone.now())
    kinds = {path: kind for path, (kind, _cells, _judged) in group.divergences().items()}
    assert kinds == {"a": "mismatch", "b": "lost", "c": "lost"}


def test_archived_replicas_take_no_part() -> None:
    """A replica that was archived leaves the comparison; an open finding that concerns it waits for a person."""
    group = StagedGroup(3)
    group.runs([file("a"), file("b", b"b")], [file("a"), file("b", b"b")], [file("a")])
    group.compare()
    archived = group.replicas[2].replica
    archived.archived_at = timezone.now()
    archived.save()
    assert group.divergences() == {}
    assert group.compare().participants.count() == 2
    assert Finding.objects.get(replica=None).state == "open"


def read_report(run: Run) -> dict[str, dict[str, Any]]:
    """Return the entries of a run by their paths, from its exported report."""
    lines = b"".join(export.export_report(run)).splitlines()[1:]
    return {entry["path"]: entry for entry in map(json.loads, lines) if "note" not in entry}


def compare_naively(reports: list[dict[str, dict[str, Any]]]) -> dict[str, str]:
    """Return the kind of each path that diverges. A move is left as two losses."""
    kinds = {}
    for path in set().union(*reports):
        entries = [report.get(path) for report in reports]
        readable = [entry for entry in entries if entry and "error" not in entry]
        contents = {entry.get("sha256") or entry.get("link") for entry in readable}
        if len(contents) > 1:
            kinds[path] = "mismatch"
        elif readable and None in entries:
            kinds[path] = "lost"
        elif len(readable) < len(entries):
            kinds[path] = "unknown"
    return kinds


@pytest.mark.parametrize("seed", usual_first(range(2)))
def test_the_same_as_a_naive_comparison(seed: int) -> None:
    """Over random histories a comparison finds what a naive one of the exported reports finds, run after run."""
    dice = random.Random(seed)
    group = StagedGroup(3, limit_files=10_000)
    for _ in range(3):
        group.runs(*[_random_state(dice) for _ in range(3)])
        kinds = {}
        for path, (kind, cells, _judged) in group.divergences().items():
            kinds[path] = "lost" if ">" in cells else kind

        newest_runs = [staged.replica.runs.select_related("replica").latest("sequence") for staged in group.replicas]
        expected = compare_naively([read_report(run) for run in newest_runs])
        assert kinds == expected
        assert sum(group.compare().counts.get(kind, 0) for kind in Divergence.Kind.values) == len(expected)


def _random_state(dice: random.Random) -> list[Record]:
    """Return forty entries in five directories, most of them as on every replica."""
    records: list[Record] = []
    for number in range(40):
        roll = dice.random()
        path = f"d{number % 5}/f{number}"
        if roll < 0.7:
            records.append(file(path, f"{number}".encode()))
        elif roll < 0.8:
            records.append(file(path, dice.choice([b"x", b"y"])))
        elif roll < 0.85:
            records.append(error_row(path))
        elif roll < 0.9:
            records.append(link_row(path, dice.choice("pq")))
    return records


def test_names_as_long_as_they_can_be() -> None:
    """Names of 4,000 bytes that cannot be packed are paired as any other: no index is too small for them."""
    dice = random.Random(0)
    letters = "0123456789abcdefghijklmnopqrstuvwxyzабвг"
    first, second = ("".join(dice.choices(letters, k=3900))[:3500] for _ in range(2))
    group = StagedGroup(2)
    group.runs([file(first, b"1")], [file(second, b"1")])
    assert group.divergences() == {first: ("moved", "+>", ""), second: ("moved", ">+", "")}
