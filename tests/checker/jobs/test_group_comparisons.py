"""Comparisons of replicas as work: once for what is new, by one worker, whole after any death; beside a naive one."""

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
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.scanner.factories import error_row, link_row
from tests.scanner.ingest.workers import killed_worker

pytestmark = pytest.mark.django_db(transaction=True)


def test_once_for_what_is_new() -> None:
    """However often it is asked for, a group is compared once for the same runs; a burst of runs is one comparison."""
    fleet = StagedGroup(3)
    fleet.runs(*[[file("a", b"1")]] * 3)
    assert group_comparisons.groups_to_compare(timezone.now()) == [fleet.group.pk]
    assert tasks.compare_groups() == 1 and tasks.compare_groups() == 0
    computed = fleet.compare().computed_at
    for _ in range(2):
        fleet.runs(*[[file("a", b"2")]] * 3)
    assert group_comparisons.catch_up(fleet.group.pk) and not group_comparisons.catch_up(fleet.group.pk)
    assert GroupComparison.objects.count() == 1 and fleet.compare().computed_at != computed
    seats = Participant.objects.order_by("position")
    assert [one.run.sequence for one in seats if one.run] == [3, 3, 3]


def test_a_run_wakes_its_group_when_it_is_proven() -> None:
    """Verification and comparison are tasks of their own: each wakes the group, and the last one has it compared."""
    fleet = StagedGroup(2)
    fleet.runs([file("a")], [file("a")])
    OrmQ.objects.all().delete()
    run = fleet.replicas[0].run([file("a", b"x")])
    assert tasks.catch_up(run.replica_id) == 1 and tasks.verify_run(run.pk)
    queued = [one.task for one in OrmQ.objects.all()]
    wanted = [one["args"] for one in queued if one["func"] == "checker.tasks.compare_replicas"]
    assert wanted == [(fleet.group.pk,)] * 2
    assert tasks.compare_replicas(fleet.group.pk) and not tasks.compare_replicas(fleet.group.pk)


def test_only_what_is_proven_takes_part() -> None:
    """A run that is not proven, or not compared, does not stand for its replica."""
    fleet = StagedGroup(2)
    fleet.runs([file("a")], [file("a")])
    run = fleet.replicas[1].run([file("b")])
    fleet.replicas[1].compare()
    assert fleet.divergences() == {}, "run 2 was not verified"
    assert tasks.verify_run(run.pk)
    assert set(fleet.divergences()) == {"a", "b"}


def test_one_worker_at_a_time() -> None:
    """While another session compares a group, nothing is done twice."""
    fleet = StagedGroup(2)
    fleet.runs([file("a")], [file("a")])
    other = connections.create_connection("default")
    key = {"lock_class": int(LockClass.GROUP_COMPARISON), "key": fleet.group.pk}
    try:
        with other.cursor() as cursor:
            cursor.execute(LOCK, key)
            assert not group_comparisons.catch_up(fleet.group.pk)
            cursor.execute(UNLOCK, key)  # a lock dies with its session, but not before close() returns
    finally:
        other.close()
    assert group_comparisons.catch_up(fleet.group.pk)


WORKER = """
import os, signal, sys, django
django.setup()
from checker.divergences import compare, moves, store
from checker.findings.replicas import update
from checker.jobs import group_comparisons

module, name, after, group = sys.argv[1:]
module = {"compare": compare, "moves": moves, "store": store, "update": update}[module]
whole = getattr(module, name)

def dying(*given, **named):
    if after == "after":
        whole(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, dying)
group_comparisons.catch_up(int(group))
"""


@pytest.mark.parametrize("when", ["before", "after"])
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
    """A worker that dies leaves what was kept before, and the next one does it whole."""
    fleet = StagedGroup(2)
    fleet.runs([file("a", b"1"), file("b")], [file("a", b"1")])
    fleet.compare()
    fleet.run(1, [file("a", b"2"), file("c", b"c")])
    killed_worker(WORKER, *point, when, str(fleet.group.pk))
    assert {one.path: one.kind for one in Divergence.objects.all()} == {"b": "lost"}
    assert Finding.objects.filter(replica=None).count() == 1
    while not group_comparisons.catch_up(fleet.group.pk):  # until the database has seen that the worker died
        assert group_comparisons.groups_to_compare(timezone.now())
    assert {path: said[0] for path, said in fleet.divergences().items()} == {"a": "mismatch", "b": "lost", "c": "lost"}


def test_archived_replicas_take_no_part() -> None:
    """A replica that was archived leaves the comparison; an open finding that concerns it waits for a person."""
    fleet = StagedGroup(3)
    fleet.runs([file("a"), file("b", b"b")], [file("a"), file("b", b"b")], [file("a")])
    fleet.compare()
    gone = fleet.replicas[2].replica
    gone.archived_at = timezone.now()
    gone.save()
    assert fleet.divergences() == {} and fleet.compare().participants.count() == 2
    assert Finding.objects.get(replica=None).state == "open"


def report(run: Run) -> dict[str, dict[str, Any]]:
    """The entries of a run by their paths, from its exported report."""
    lines = b"".join(export.export_report(run)).splitlines()[1:]
    return {entry["path"]: entry for entry in map(json.loads, lines) if "note" not in entry}


def naive(reports: list[dict[str, dict[str, Any]]]) -> dict[str, str]:
    """Kinds by a comparison path by path; a move is left as two losses."""
    found = {}
    for path in set().union(*reports):
        here = [one.get(path) for one in reports]
        known = [entry for entry in here if entry and "error" not in entry]
        contents = {entry.get("sha256") or entry.get("link") for entry in known}
        if len(contents) > 1:
            found[path] = "mismatch"
        elif known and None in here:
            found[path] = "lost"
        elif len(known) < len(here):
            found[path] = "unknown"
    return found


@pytest.mark.parametrize("seed", range(2))
def test_the_same_as_a_naive_comparison(seed: int) -> None:
    """Over random histories what diverges is what a naive comparison of the exported reports finds, run after run."""
    dice = random.Random(seed)
    fleet = StagedGroup(3, limit_files=10_000)
    for _ in range(3):
        states = [_state(dice) for _ in range(3)]
        fleet.runs(*states)
        said = {path: "lost" if ">" in cells else kind for path, (kind, cells, _judged) in fleet.divergences().items()}
        newest = [world.replica.runs.select_related("replica").latest("sequence") for world in fleet.replicas]
        wanted = naive([report(run) for run in newest])
        assert said == wanted
        assert sum(fleet.compare().counts.get(kind, 0) for kind in Divergence.Kind.values) == len(wanted)


def _state(dice: random.Random) -> list[Record]:
    found: list[Record] = []
    for at in range(40):
        roll, path = dice.random(), f"d{at % 5}/f{at}"
        if roll < 0.7:
            found.append(file(path, f"{at}".encode()))
        elif roll < 0.8:
            found.append(file(path, dice.choice([b"x", b"y"])))
        elif roll < 0.85:
            found.append(error_row(path))
        elif roll < 0.9:
            found.append(link_row(path, dice.choice("pq")))
    return found


def test_names_as_long_as_they_can_be() -> None:
    """Names of 4,000 bytes that cannot be packed are paired as any other: no index is too small for them."""
    dice = random.Random(0)
    first, second = ("".join(dice.choices("0123456789abcdefghijklmnopqrstuvwxyzабвг", k=3900))[:3500] for _ in range(2))
    fleet = StagedGroup(2)
    fleet.runs([file(first, b"1")], [file(second, b"1")])
    assert fleet.divergences() == {first: ("moved", "+>", ""), second: ("moved", ">+", "")}
