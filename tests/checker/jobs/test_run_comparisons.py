"""Comparisons as work: in order, once, whatever dies; and what lies between any two runs of a long history."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checker import tasks
from checker.changes import compare, store
from checker.jobs import run_comparisons
from checker.models import Change, Comparison, Finding
from checker.pages import replica_facts
from checker.pages.status import Assessment, assess
from scanner.db import report_lines
from scanner.db.locks import LOCK, UNLOCK, LockClass
from scanner.format.records import Entry, Note, Record
from scanner.models import Run, Version
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, change_kinds, file
from tests.scanner.factories import error_row, link_row
from tests.scanner.ingest.workers import killed_worker

pytestmark = pytest.mark.django_db(transaction=True)

CONTENTS = [b"", b"1", b"2", b"3"]
PATHS = ["a", "b", "d/a", "d/b", "d/e/c", "f"]


@st.composite
def states(draw: st.DrawFn) -> list[Record]:
    """What a run finds: files, links and errors under a few paths; below what cannot be listed there is nothing."""
    shut = draw(st.sampled_from([None, None, None, "d", "d/e"]))
    rows: list[Record] = [error_row(shut, stage="list")] if shut else []
    for path in PATHS:
        if shut and path.startswith(shut + "/"):
            continue
        kind = draw(st.sampled_from(["file"] * 4 + ["none", "none", "error", "link"]))
        if kind == "file":
            mtime_ns = draw(st.sampled_from([1, LATER_MTIME]))
            rows.append(file(path, draw(st.sampled_from(CONTENTS)), mtime_ns=mtime_ns))
        elif kind == "error":
            rows.append(error_row(path))
        elif kind == "link":
            rows.append(link_row(path, draw(st.sampled_from(["x", "y"]))))
    return rows


def lines(run: Run) -> dict[str, bytes]:
    """The entries of a run's exported report, by path."""
    found = [line for line in report_lines.record_lines(run) if not line.startswith(b'{"note"')]
    return {json.loads(line)["path"]: line for line in found}


def line_of(version_id: int | None) -> bytes | None:
    """The line of a version, as the history writes it."""
    if version_id is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT convert_to({report_lines.ENTRY_LINE}, 'UTF8') FROM scanner_version WHERE id = %(id)s",
            {"id": version_id, **report_lines.ENTRY_TYPES},
        )
        return bytes(cursor.fetchone()[0])


def hidden(entries: dict[str, bytes], path: str) -> bool:
    """Whether one of the path's directories could not be listed."""
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    return any(b'"stage":"list"' in entries.get(one, b"") for one in above)


HISTORIES = st.lists(states(), min_size=2, max_size=5)
LOOSE = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(LOOSE, max_examples=25)
@given(HISTORIES)
def test_any_two_runs_differ_in_what_their_reports_differ_in(history: list[list[Record]]) -> None:
    """Of any two runs the paths that differ, with their lines, are those of a naive comparison of the two reports."""
    naive_agrees(history)


@pytest.mark.long
@settings(LOOSE, max_examples=500)
@given(HISTORIES)
def test_any_two_runs_of_many_histories(history: list[list[Record]]) -> None:
    """The same of many more histories."""
    naive_agrees(history)


def naive_agrees(history: list[list[Record]]) -> None:
    """Compare any two runs of a history both ways.

    But for what cannot be seen: a path that is hidden at either run is compared with what was last read of it.
    """
    world = StagedReplica()
    runs = [world.run(records) for records in history]
    reports = [lines(run) for run in runs]
    for first in range(len(runs)):
        for second in range(first + 1, len(runs)):
            comparison = run_comparisons.get_or_request(runs[first], runs[second])
            assert comparison.state == Comparison.State.DONE
            changes = list(Change.objects.filter(comparison_id=comparison.pk))
            said = {one.path: one for one in changes}
            assert len(said) == len(changes), "a path has one kind"
            was, now = reports[first], reports[second]
            naive = {path for path in {*was, *now} if was.get(path) != now.get(path)}
            seen = {path for path in naive | set(said) if not hidden(was, path)}
            assert {path for path in said if path in seen} == naive & seen
            for path in naive & seen:
                change = said[path]
                new = None if change.departed else line_of(change.new_id)
                assert new == now.get(path), path
                if b'"error"' not in was.get(path, b"") and change.kind != "moved":
                    assert line_of(change.old_id) == was.get(path), path
            for path in set(said) - seen:  # hidden before: against what was last read, in whichever run that was
                earlier = [report.get(path) for report in reports[: first + 1]]
                assert said[path].kind == "added" or line_of(said[path].old_id) in earlier or said[path].kind == "moved"


def test_in_order_and_once() -> None:
    """Every ingested run is compared once, with the complete run before, however often it is asked for."""
    world = StagedReplica()
    for number in range(4):
        world.run([file("a", str(number).encode())])
    assert run_comparisons.replicas_to_compare() == [world.replica.pk]
    assert tasks.compare_new() == 4 and tasks.compare_new() == 0 and run_comparisons.catch_up(world.replica.pk) == 0
    found = Comparison.objects.order_by("run__sequence").values_list("base__sequence", "run__sequence", "state")
    assert list(found) == [(None, 1, "done"), (1, 2, "done"), (2, 3, "done"), (3, 4, "done")]
    assert run_comparisons.get_or_request(*Run.objects.order_by("sequence")[1:3]).adjacent is True


def test_only_one_worker_at_a_time() -> None:
    """While another session compares a replica's runs, nothing is done twice."""
    world = StagedReplica()
    world.run([file("a")])
    other = connections.create_connection("default")
    key = {"lock_class": int(LockClass.RUN_COMPARISON), "key": world.replica.pk}
    try:
        with other.cursor() as cursor:
            cursor.execute(LOCK, key)
            assert (
                run_comparisons.catch_up(world.replica.pk) == 0 and not Comparison.objects.filter(state="done").exists()
            )
            cursor.execute(UNLOCK, key)  # a lock dies with its session, but not before close() returns
    finally:
        other.close()
    assert run_comparisons.catch_up(world.replica.pk) == 1


def test_three_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that always fails is set aside with its reason, and those behind it go on."""
    world = StagedReplica()
    world.run([file("a")])
    world.run([file("a", b"x")])
    prepare = compare.find_changes

    def failing(comparison: Comparison, *rest: Any) -> None:
        if comparison.run.sequence == 1:
            raise ValueError("it cannot be")
        prepare(comparison, *rest)

    monkeypatch.setattr(compare, "find_changes", failing)
    for _ in range(2):
        with pytest.raises(ValueError, match="it cannot be"):
            run_comparisons.catch_up(world.replica.pk)
    assert run_comparisons.catch_up(world.replica.pk) == 2
    aside = Comparison.objects.get(run__sequence=1)
    assert aside.state == "set_aside" and "it cannot be" in aside.reason
    assert change_kinds(Comparison.objects.get(run__sequence=2)) == {"a": "rewritten"}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Numbers of runs the comparisons of which fail for now."""
    prepare, sequences = compare.find_changes, set[int]()

    def prepared(comparison: Comparison, *rest: Any) -> None:
        if comparison.run.sequence in sequences:
            raise ValueError("it cannot be")
        prepare(comparison, *rest)

    monkeypatch.setattr(compare, "find_changes", prepared)
    return sequences


def give_up(world: StagedReplica) -> None:
    """Try until what fails is set aside."""
    while run_comparisons.replicas_to_compare():
        with suppress(ValueError):
            run_comparisons.catch_up(world.replica.pk)


def state_of(world: StagedReplica) -> Assessment:
    """What the overview says of the replica."""
    found = replica_facts.replicas_in_use().filter(pk=world.replica.pk)
    return assess(replica_facts.collect_facts(found, timezone.now())[0])


def test_set_aside_and_made_again(failing: set[int]) -> None:
    """The newest is made again with those set aside before it, in order; then *attention* has a reason less."""
    world = StagedReplica()
    runs = [world.run([file("a", content), file("k")]) for content in (b"1", b"1", b"2", b"3")]
    names = [str(run.uuid) for run in runs]
    failing |= {2, 3, 4}
    give_up(world)
    assert "The changes of run 4 could not be determined." in [reason.text for reason in state_of(world).reasons]
    assert call(*names[2:])[0] == 2 and Comparison.objects.filter(state="set_aside").count() == 3
    failing.clear()
    code, words = call(*names[2:], "--again")
    assert code == 1 and "1 rewritten" in words
    assert not Comparison.objects.exclude(state="done").exists()
    finding = Finding.objects.get()
    assert (finding.first_run, finding.last_run) == (runs[2], runs[3])
    assert [reason.text for reason in state_of(world).reasons if "could not be determined" in reason.text] == []
    assert call(*names[2:], "--again") == (code, words)  # what is done stays as it is


@pytest.mark.parametrize("changed", [False, True])
def test_judged_meanwhile(failing: set[int], changed: bool) -> None:
    """One set aside is made again as long as nothing changed since; afterwards it is refused in words."""
    world = StagedReplica()
    runs = [world.run([file("a", content), file("k")]) for content in (b"1", b"2", b"2", b"3" if changed else b"2")]
    failing.add(2)
    give_up(world)
    failing.clear()
    code, said = call(str(runs[0].uuid), str(runs[1].uuid), "--again")
    if changed:
        assert code == 2 and "the changes of run 4 were judged meanwhile" in said
        assert Comparison.objects.get(run=runs[1]).state == "set_aside" and state_of(world).status == "attention"
    else:
        assert code == 1 and Finding.objects.get().first_run == runs[1]


def test_on_demand_and_made_again(failing: set[int]) -> None:
    """What was asked for and set aside is made again however old it is; not while another process is at it."""
    world = StagedReplica()
    runs = [world.run([file("a", content)]) for content in (b"1", b"2", b"3")]
    names = [str(runs[0].uuid), str(runs[2].uuid)]
    world.compare()
    failing.add(3)
    for _ in range(3):
        with suppress(ValueError):
            run_comparisons.get_or_request(runs[0], runs[2])
    assert call(*names)[0] == 2
    failing.clear()
    other = connections.create_connection("default")
    key = {"lock_class": int(LockClass.RUN_COMPARISON), "key": world.replica.pk}
    try:
        with other.cursor() as cursor:
            cursor.execute(LOCK, key)
            assert call(*names, "--again")[0] == 2
            cursor.execute(UNLOCK, key)
    finally:
        other.close()
    assert call(*names, "--again")[0] == 1 and Comparison.objects.get(adjacent=False).attempts == 1


WORKER = """
import os, signal, sys, django
django.setup()
from checker.changes import compare, store
from checker.findings import update
from checker.jobs import run_comparisons

module, name, after, replica = sys.argv[1:]
module = {"compare": compare, "store": store, "update": update}[module]
whole = getattr(module, name)

def dying(*given):
    if after == "after":
        whole(*given)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, dying)
run_comparisons.catch_up(int(replica))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "point", [("compare", "find_changes"), ("store", "write_changes"), ("update", "update_findings")], ids="-".join
)
def test_killed_at_any_point(point: tuple[str, str], when: str) -> None:
    """A worker that dies leaves nothing half done, and the next one does it whole."""
    world = StagedReplica()
    world.run([file("a"), file("b", b"b")])
    world.compare()
    world.run([file("a", b"x")])
    killed_worker(WORKER, *point, when, str(world.replica.pk))
    assert not Change.objects.exists() and not Finding.objects.exists()
    while run_comparisons.replicas_to_compare():  # the lock of the dead is free when the database has seen that it died
        run_comparisons.catch_up(world.replica.pk)
    assert change_kinds(world.compare()) == {"a": "rewritten", "b": "removed"}
    assert Finding.objects.count() == 1 and Comparison.objects.latest("pk").attempts == 2


def test_forgotten_when_nobody_looks() -> None:
    """What was compared on demand goes after some time; what is adjacent stays."""
    world = StagedReplica()
    runs = [world.run([file("a", str(number).encode())]) for number in range(3)]
    world.compare()
    comparison = run_comparisons.get_or_request(runs[0], runs[2])
    assert run_comparisons.delete_unused() == 0
    Comparison.objects.update(asked_at="2020-01-01T00:00:00Z")
    assert run_comparisons.delete_unused() == 1 and not Change.objects.filter(comparison_id=comparison.pk).exists()
    assert Comparison.objects.count() == 3


def call(*arguments: str) -> tuple[int, str]:
    """The command's exit code and what it says."""
    out = io.StringIO()
    try:
        call_command("compare_runs", *arguments, stdout=out, stderr=io.StringIO())
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def test_command() -> None:
    """The command says what the page says, in words, as JSON and as a table."""
    world = StagedReplica()
    first = world.run([file("a"), file("b", b"b"), file("m", b"m")])
    second = world.run([file("a", b"x"), file("esc\x1b[31m", b"n"), file("n", b"m")])
    code, words = call(str(first.uuid), f"{world.replica.uuid}:2")
    assert code == 1 and "1 rewritten, 1 removed, 1 added, 1 moved" in words and "\x1b" not in words
    assert "moved        n  [from m]" in words
    code, text = call(str(second.uuid), str(first.uuid), "--json", "--kind", "moved", "--kind", "added")
    assert code == 1 and [json.loads(line)["path"] for line in text.splitlines()] == ["esc\x1b[31m", "n"]
    assert call(str(first.uuid), str(second.uuid), "--csv")[1].startswith("kind,path,other,old_type")
    world.run([file("a", b"x"), file("esc\x1b[31m", b"n"), file("n", b"m")])
    assert call(str(second.uuid), f"{world.replica.uuid}:3") == (
        0,
        call(str(second.uuid), f"{world.replica.uuid}:3")[1],
    )
    assert call(str(first.uuid), str(first.uuid))[0] == 2 and call("x", "y")[0] == 2


def test_notes_of_other_paths_do_not_leak() -> None:
    """A note is that of its path and its run."""
    world = StagedReplica()
    world.run([file("a"), file("b")])
    world.run([file("a", b"1", mtime_ns=LATER_MTIME), file("b"), Note("b", "clock", '{"mtime":"back","mtime_ns":1}')])
    comparison = world.compare()
    assert [one.notes for one in Change.objects.filter(comparison_id=comparison.pk)] == [None]
    assert Version.objects.count() == 3 and isinstance(file("a"), Entry)


def test_the_planner_hears_of_many_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks for findings comes after the changes were counted by the planner too, when they are many."""
    monkeypatch.setattr(store, "ANALYZE_FROM", 5)
    world, analysed = StagedReplica(), []
    for number in (3, 5):
        world.run([file("keep")])
        world.compare()
        world.run([file("keep"), *(file(f"{number}/{at}", b"%d" % at) for at in range(number))])
        with CaptureQueriesContext(connection) as queries:
            world.compare()
        told = [one["sql"] for one in queries]
        analysed.append(store.ANALYZE in told)
        if analysed[-1]:
            assert told.index(store.ANALYZE) < next(at for at, sql in enumerate(told) if "concerned_finding" in sql)
    assert analysed == [False, True]
