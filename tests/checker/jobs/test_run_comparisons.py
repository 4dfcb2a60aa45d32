"""Compare runs in order and once, whatever dies, and find the differences of any two runs of a long history."""

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
from tests.parameters import usual_first
from tests.scanner.factories import error_row, link_row
from tests.scanner.ingest.workers import killed_worker

pytestmark = pytest.mark.django_db(transaction=True)

CONTENTS = [b"", b"1", b"2", b"3"]
PATHS = ["a", "b", "d/a", "d/b", "d/e/c", "f"]


@st.composite
def states(draw: st.DrawFn) -> list[Record]:
    """Draw files, links and errors under a few paths. There is nothing below a directory that cannot be listed."""
    unlistable = draw(st.sampled_from([None, None, None, "d", "d/e"]))
    rows: list[Record] = [error_row(unlistable, stage="list")] if unlistable else []
    for path in PATHS:
        if unlistable and path.startswith(unlistable + "/"):
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


def entry_lines(run: Run) -> dict[str, bytes]:
    """Return the lines of the entries in a run's exported report, by path."""
    lines = [line for line in report_lines.record_lines(run) if not line.startswith(b'{"note"')]
    return {json.loads(line)["path"]: line for line in lines}


def line_of(version_id: int | None) -> bytes | None:
    """Return the line of a version, as it is rebuilt from its row."""
    if version_id is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT convert_to({report_lines.ENTRY_LINE}, 'UTF8') FROM scanner_version WHERE id = %(id)s",
            {"id": version_id, **report_lines.ENTRY_TYPES},
        )
        return bytes(cursor.fetchone()[0])


def is_hidden(entries: dict[str, bytes], path: str) -> bool:
    """Return whether one of the directories above a path could not be listed."""
    parts = path.split("/")
    directories = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    return any(b'"stage":"list"' in entries.get(directory, b"") for directory in directories)


HISTORIES = st.lists(states(), min_size=2, max_size=5)
LOOSE = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(LOOSE, max_examples=12)
@given(HISTORIES)
def test_any_two_runs_differ_in_what_their_reports_differ_in(history: list[list[Record]]) -> None:
    """The paths that differ between any two runs, with their lines, are those in which the two reports differ."""
    check_against_reports(history)


@pytest.mark.long
@settings(LOOSE, max_examples=500)
@given(HISTORIES)
def test_any_two_runs_of_many_histories(history: list[list[Record]]) -> None:
    """The same of many more histories."""
    check_against_reports(history)


def check_against_reports(history: list[list[Record]]) -> None:
    """Compare any two runs of a history in both ways.

    Paths that are hidden at the earlier run are left out: they are compared with what was last read of them.
    """
    staged = StagedReplica()
    runs = [staged.run(records) for records in history]
    reports = [entry_lines(run) for run in runs]
    for first in range(len(runs)):
        for second in range(first + 1, len(runs)):
            comparison = run_comparisons.get_or_request(runs[first], runs[second])
            assert comparison.state == Comparison.State.DONE
            check_changes(comparison, reports[: first + 1], reports[second])


def check_changes(comparison: Comparison, old_reports: list[dict[str, bytes]], new_report: dict[str, bytes]) -> None:
    """Compare the changes of a comparison with two reports. The earlier one is the last of `old_reports`."""
    old_report = old_reports[-1]
    rows = list(Change.objects.filter(comparison_id=comparison.pk))
    changes = {change.path: change for change in rows}

    assert len(changes) == len(rows), "a path has one kind"

    differing = {path for path in {*old_report, *new_report} if old_report.get(path) != new_report.get(path)}
    visible = {path for path in differing | set(changes) if not is_hidden(old_report, path)}

    assert set(changes) & visible == differing & visible

    for path in differing & visible:
        change = changes[path]
        new_line = None if change.departed else line_of(change.new_id)
        assert new_line == new_report.get(path), path
        # What moved, and perhaps changed on the way, is compared with the other path.
        if b'"error"' not in old_report.get(path, b"") and not change.other:
            assert line_of(change.old_id) == old_report.get(path), path

    # A path that was hidden is compared with what was last read of it, in whichever run that was.
    for path in set(changes) - visible:
        change = changes[path]
        lines_before = [report.get(path) for report in old_reports]
        assert change.kind == "added" or change.other or line_of(change.old_id) in lines_before


def test_in_order_and_once() -> None:
    """Every ingested run is compared once, with the complete run before, however often it is asked for."""
    staged = StagedReplica()
    for number in range(4):
        staged.run([file("a", str(number).encode())])

    assert run_comparisons.replicas_to_compare() == [staged.replica.pk]
    assert tasks.compare_new() == 4 and tasks.compare_new() == 0 and run_comparisons.catch_up(staged.replica.pk) == 0

    comparisons = Comparison.objects.order_by("run__sequence").values_list("base__sequence", "run__sequence", "state")
    assert list(comparisons) == [(None, 1, "done"), (1, 2, "done"), (2, 3, "done"), (3, 4, "done")]
    assert run_comparisons.get_or_request(*Run.objects.order_by("sequence")[1:3]).adjacent is True


def test_only_one_worker_at_a_time() -> None:
    """While another session compares a replica's runs, nothing is done twice."""
    staged = StagedReplica()
    staged.run([file("a")])
    other = connections.create_connection("default")
    key = {"lock_class": int(LockClass.RUN_COMPARISON), "key": staged.replica.pk}
    try:
        with other.cursor() as cursor:
            cursor.execute(LOCK, key)
            assert (
                run_comparisons.catch_up(staged.replica.pk) == 0
                and not Comparison.objects.filter(state="done").exists()
            )
            cursor.execute(UNLOCK, key)  # a lock dies with its session, but not before close() returns
    finally:
        other.close()

    assert run_comparisons.catch_up(staged.replica.pk) == 1


def test_three_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that always fails is set aside with its reason, and those behind it go on."""
    staged = StagedReplica()
    staged.run([file("a")])
    staged.run([file("a", b"x")])
    find_changes = compare.find_changes

    def failing(comparison: Comparison, *arguments: Any) -> None:
        if comparison.run.sequence == 1:
            raise ValueError("it cannot be")
        find_changes(comparison, *arguments)

    monkeypatch.setattr(compare, "find_changes", failing)
    for _ in range(2):
        with pytest.raises(ValueError, match="it cannot be"):
            run_comparisons.catch_up(staged.replica.pk)

    assert run_comparisons.catch_up(staged.replica.pk) == 2

    set_aside = Comparison.objects.get(run__sequence=1)
    assert set_aside.state == "set_aside" and "it cannot be" in set_aside.reason
    assert change_kinds(Comparison.objects.get(run__sequence=2)) == {"a": "rewritten"}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Return numbers of runs, a set to change: the comparisons of these runs fail."""
    find_changes = compare.find_changes
    sequences = set[int]()

    def fail_or_find(comparison: Comparison, *arguments: Any) -> None:
        if comparison.run.sequence in sequences:
            raise ValueError("it cannot be")
        find_changes(comparison, *arguments)

    monkeypatch.setattr(compare, "find_changes", fail_or_find)
    return sequences


def give_up(staged: StagedReplica) -> None:
    """Make attempts until each comparison that fails is set aside."""
    while run_comparisons.replicas_to_compare():
        with suppress(ValueError):
            run_comparisons.catch_up(staged.replica.pk)


def assess_replica(staged: StagedReplica) -> Assessment:
    """Return what the overview says of the replica."""
    replicas = replica_facts.replicas_in_use().filter(pk=staged.replica.pk)
    return assess(replica_facts.collect_facts(replicas, timezone.now())[0])


def test_set_aside_and_retried(failing: set[int]) -> None:
    """The newest comparison is retried with those set aside before it, in order; it is a reason less then."""
    staged = StagedReplica()
    runs = [staged.run([file("a", content), file("k")]) for content in (b"1", b"1", b"2", b"3")]
    names = [str(run.uuid) for run in runs]
    failing |= {2, 3, 4}
    give_up(staged)

    assert any("changes of run 4 could not be determined" in reason.text for reason in assess_replica(staged).reasons)
    assert call(*names[2:])[0] == 2 and Comparison.objects.filter(state="set_aside").count() == 3

    failing.clear()
    code, words = call(*names[2:], "--again")
    assert code == 1 and "1 rewritten" in words
    assert not Comparison.objects.exclude(state="done").exists()

    finding = Finding.objects.get()
    assert (finding.first_run, finding.last_run) == (runs[2], runs[3])
    assert [reason.text for reason in assess_replica(staged).reasons if "could not be determined" in reason.text] == []

    # A comparison that is done stays as it is.
    assert call(*names[2:], "--again") == (code, words)


@pytest.mark.parametrize("changed", [False, True])
def test_judged_meanwhile(failing: set[int], changed: bool) -> None:
    """A comparison that was set aside is retried as long as nothing changed since; afterwards it is refused."""
    staged = StagedReplica()
    runs = [staged.run([file("a", content), file("k")]) for content in (b"1", b"2", b"2", b"3" if changed else b"2")]
    failing.add(2)
    give_up(staged)
    failing.clear()
    code, text = call(str(runs[0].uuid), str(runs[1].uuid), "--again")
    if changed:
        assert code == 2 and "the changes of run 4 were judged meanwhile" in text
        assert Comparison.objects.get(run=runs[1]).state == "set_aside" and assess_replica(staged).status == "attention"
    else:
        assert code == 1 and Finding.objects.get().first_run == runs[1]


def test_on_demand_and_retried(failing: set[int]) -> None:
    """A comparison on demand that was set aside is retried however old it is, but not while a process compares."""
    staged = StagedReplica()
    runs = [staged.run([file("a", content)]) for content in (b"1", b"2", b"3")]
    names = [str(runs[0].uuid), str(runs[2].uuid)]
    staged.compare()
    failing.add(3)
    for _ in range(3):
        with suppress(ValueError):
            run_comparisons.get_or_request(runs[0], runs[2])

    assert call(*names)[0] == 2

    failing.clear()
    other = connections.create_connection("default")
    key = {"lock_class": int(LockClass.RUN_COMPARISON), "key": staged.replica.pk}
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

def dying(*arguments):
    if after == "after":
        whole(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, dying)
run_comparisons.catch_up(int(replica))
"""


@pytest.mark.parametrize("when", usual_first(["after", "before"]))
@pytest.mark.parametrize(
    "point", [("compare", "find_changes"), ("store", "write_changes"), ("update", "update_findings")], ids="-".join
)
def test_killed_at_any_point(point: tuple[str, str], when: str) -> None:
    """A worker that dies leaves nothing half done, and the next one does all of it."""
    staged = StagedReplica()
    staged.run([file("a"), file("b", b"b")])
    staged.compare()
    staged.run([file("a", b"x")])
    killed_worker(WORKER, *point, when, str(staged.replica.pk))

    assert not Change.objects.exists() and not Finding.objects.exists()

    # The lock of the dead worker is free as soon as the database has seen that it died.
    while run_comparisons.replicas_to_compare():
        run_comparisons.catch_up(staged.replica.pk)

    assert change_kinds(staged.compare()) == {"a": "rewritten", "b": "removed"}
    assert Finding.objects.count() == 1 and Comparison.objects.latest("pk").attempts == 2


def test_deleted_when_nobody_looks() -> None:
    """A comparison on demand is deleted after some time; an adjacent one stays."""
    staged = StagedReplica()
    runs = [staged.run([file("a", str(number).encode())]) for number in range(3)]
    staged.compare()
    comparison = run_comparisons.get_or_request(runs[0], runs[2])

    assert run_comparisons.delete_unused() == 0

    Comparison.objects.update(asked_at="2020-01-01T00:00:00Z")
    assert run_comparisons.delete_unused() == 1 and not Change.objects.filter(comparison_id=comparison.pk).exists()
    assert Comparison.objects.count() == 3


def call(*arguments: str) -> tuple[int, str]:
    """Return the exit code of the command and what it writes."""
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
    staged = StagedReplica()
    first = staged.run([file("a"), file("b", b"b"), file("m", b"m")])
    # Another time than that of the removed file: with the same size it would be that file, renamed and rewritten.
    escaped = file("esc\x1b[31m", b"n", mtime_ns=LATER_MTIME)
    second = staged.run([file("a", b"x"), escaped, file("n", b"m")])
    code, words = call(str(first.uuid), f"{staged.replica.uuid}:2")

    assert code == 1 and "1 rewritten, 1 removed, 1 added, 1 moved" in words and "\x1b" not in words
    assert "moved        n  [from m]" in words

    code, text = call(str(second.uuid), str(first.uuid), "--json", "--kind", "moved", "--kind", "added")
    assert code == 1 and [json.loads(line)["path"] for line in text.splitlines()] == ["esc\x1b[31m", "n"]
    assert call(str(first.uuid), str(second.uuid), "--csv")[1].startswith("kind,path,other,old_type")

    staged.run([file("a", b"x"), escaped, file("n", b"m")])
    code, words = call(str(second.uuid), f"{staged.replica.uuid}:3")
    assert code == 0 and call(str(second.uuid), f"{staged.replica.uuid}:3") == (code, words)
    assert call(str(first.uuid), str(first.uuid))[0] == 2 and call("x", "y")[0] == 2


def test_notes_of_other_paths_do_not_leak() -> None:
    """A change has the notes of its own path and run alone."""
    staged = StagedReplica()
    staged.run([file("a"), file("b")])
    staged.run([file("a", b"1", mtime_ns=LATER_MTIME), file("b"), Note("b", "clock", '{"mtime":"back","mtime_ns":1}')])
    comparison = staged.compare()

    assert [change.notes for change in Change.objects.filter(comparison_id=comparison.pk)] == [None]
    assert Version.objects.count() == 3 and isinstance(file("a"), Entry)


def test_many_changes_are_analysed_before_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are many changes, the planner is told of them before findings are looked for."""
    monkeypatch.setattr(store, "ANALYZE_FROM", 5)
    staged = StagedReplica()
    analysed = []
    for number in (3, 5):
        staged.run([file("keep")])
        staged.compare()
        staged.run([file("keep"), *(file(f"{number}/{index}", b"%d" % index) for index in range(number))])
        with CaptureQueriesContext(connection) as queries:
            staged.compare()
        statements = [query["sql"] for query in queries]
        analysed.append(store.ANALYZE in statements)
        if analysed[-1]:
            first_of_findings = next(index for index, sql in enumerate(statements) if "open_finding" in sql)
            assert statements.index(store.ANALYZE) < first_of_findings

    assert analysed == [False, True]
