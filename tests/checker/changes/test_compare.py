"""What became of each path between two runs: every rule by itself, and where two of them meet."""

from __future__ import annotations

import json

import pytest

from checker.jobs import run_comparisons
from checker.models import Branch, Change, Comparison
from scanner.format.excludes import scope_digest
from scanner.format.records import Note, Record
from scanner.models import Scope
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, change_kinds, file
from tests.scanner.factories import error_row, link_row, special_row

pytestmark = pytest.mark.django_db(transaction=True)


def between(*runs: list[Record]) -> dict[str, str]:
    """The kinds of the newest run of a history."""
    world = StagedReplica()
    for records in runs:
        world.run(records)
    return change_kinds(world.compare())


BASE: list[Record] = [file("keep")]


@pytest.mark.parametrize(
    ("was", "now", "kind"),
    [
        ([], [file("a")], {"a": "added"}),
        ([file("a")], [], {"a": "removed"}),
        ([file("a")], [file("a", mtime_ns=LATER_MTIME)], {"a": "touched"}),
        ([file("a")], [file("a", mode=0o100600)], {"a": "touched"}),
        ([file("a")], [file("a", uid=5)], {"a": "touched"}),
        ([file("a")], [file("a", b"other!!", mtime_ns=LATER_MTIME)], {"a": "modified"}),
        ([file("a")], [file("a", b"other!!")], {"a": "rewritten"}),
        ([file("a")], [file("a", b"short")], {"a": "rewritten"}),
        ([file("a")], [link_row("a", "b")], {"a": "retyped"}),
        ([link_row("a", "b")], [link_row("a", "c")], {"a": "retyped"}),
        ([special_row("a")], [special_row("a", "socket")], {"a": "retyped"}),
        ([special_row("a")], [file("a")], {"a": "retyped"}),
        ([file("a")], [error_row("a")], {"a": "unreadable"}),
        ([], [error_row("a")], {"a": "unreadable"}),
        ([error_row("a")], [error_row("a", "EIO", "read")], {"a": "unreadable"}),
        ([error_row("a")], [file("a")], {"a": "readable"}),
        ([error_row("a")], [], {"a": "removed"}),
        ([error_row("d", stage="list")], [file("d/x")], {"d": "readable", "d/x": "added"}),
        ([error_row("d", stage="list")], [], {"d": "removed"}),
        ([file("a")], [file("b")], {"a": "-moved", "b": "moved"}),
        ([file("a", b"")], [file("b", b"")], {"a": "removed", "b": "added"}),
        ([link_row("a", "t")], [link_row("b", "t")], {"a": "removed", "b": "added"}),
        ([file("a", b"1"), file("b", b"2")], [file("a", b"2"), file("b", b"1")], {"a": "rewritten", "b": "rewritten"}),
        (
            [file("d/a"), file("d/b", b"2")],
            [error_row("d", stage="list")],
            {"d": "unreadable", "d/a": "unknown", "d/b": "unknown"},
        ),
        ([file("da")], [error_row("d", stage="list")], {"d": "unreadable", "da": "removed"}),
        ([file("d/a")], [error_row("d", "EACCES", "open")], {"d": "unreadable", "d/a": "removed"}),
    ],
)
def test_each_rule(was: list[Record], now: list[Record], kind: dict[str, str]) -> None:
    """The table, line by line."""
    assert between(BASE + was, BASE + now) == kind


def confirmed_note(path: str, against: str, *, same: bool = True) -> Note:
    detail = {"against": against, "ctime_same": same, "cold": True, "engines": ["hashlib", "native"], "reads": 3}
    return Note(path, "confirmed", json.dumps(detail, separators=(",", ":")))


def test_corrupted_needs_the_note_of_its_run() -> None:
    """Only a confirmed change under the same ctime, against the very run before, is called damage."""
    world = StagedReplica()
    first = world.run([file("a"), file("b"), file("c"), file("d")])
    notes = [
        confirmed_note("a", str(first.uuid)),
        confirmed_note("b", str(first.uuid), same=False),
        confirmed_note("c", "00000000-0000-4000-8000-000000000000"),
        confirmed_note("d", str(first.uuid)),
    ]
    changed = [file(name, b"changed") for name in "abc"]
    world.run([*changed, file("d", b"changed", mtime_ns=LATER_MTIME), *notes])
    comparison = world.compare()
    assert change_kinds(comparison) == {"a": "corrupted", "b": "rewritten", "c": "rewritten", "d": "modified"}
    change = Change.objects.get(comparison_id=comparison.pk, path="a")
    assert change.notes == {"confirmed": json.loads(notes[0].detail)}


def test_reverted_comes_before_damage() -> None:
    """An earlier content is told as such, whatever its mtime."""
    world = StagedReplica()
    world.run([file("a", b"one")])
    world.run([file("a", b"two", mtime_ns=LATER_MTIME)])
    world.run([file("a", b"one", mtime_ns=LATER_MTIME)])
    assert change_kinds(world.compare()) == {"a": "reverted"}


def test_there_and_back_is_no_change() -> None:
    """A path that became another and is again as it was does not differ."""
    world = StagedReplica()
    runs = [world.run([file("a", content)]) for content in (b"one", b"two", b"one")]
    assert change_kinds(run_comparisons.get_or_request(runs[0], runs[2])) == {}


def test_unknown_and_back() -> None:
    """What was below an unlistable directory is neither removed nor added when it comes back as it was."""
    world = StagedReplica()
    before = [file("d/same"), file("d/edited"), file("d/gone"), file("d/e/deep"), file("x")]
    world.run(before)
    world.run([error_row("d", stage="list"), file("x")])
    assert change_kinds(world.compare()) == {
        "d": "unreadable", "d/same": "unknown", "d/edited": "unknown", "d/gone": "unknown", "d/e/deep": "unknown"
    }  # fmt: skip
    world.run([error_row("d", stage="list"), file("x")])
    assert change_kinds(world.compare()) == {}
    world.run(
        [file("d/same"), file("d/edited", b"new", mtime_ns=LATER_MTIME), file("d/new"), file("d/e/deep"), file("x")]
    )
    assert change_kinds(world.compare()) == {
        "d": "readable", "d/edited": "modified", "d/gone": "-moved", "d/new": "moved"
    }  # fmt: skip


def test_nested_covers() -> None:
    """One unlistable directory after the other hides without a gap."""
    world = StagedReplica()
    world.run([file("d/e/a"), file("x")])
    world.run([error_row("d/e", stage="list"), file("x")])
    assert change_kinds(world.compare()) == {"d/e": "unreadable", "d/e/a": "unknown"}
    world.run([error_row("d", stage="list"), file("x")])
    assert change_kinds(world.compare()) == {"d": "unreadable", "d/e": "unknown"}
    world.run([file("x")])
    assert change_kinds(world.compare()) == {"d": "removed", "d/e/a": "removed"}


def test_gone_before_it_was_hidden() -> None:
    """What was removed in sight is not unknown because its directory cannot be listed later."""
    world = StagedReplica()
    runs = [
        world.run([file("d/a"), file("d/b", b"2")]),
        world.run([file("d/b", b"2")]),
        world.run([error_row("d", stage="list")]),
        world.run([file("d/b", b"2")]),
    ]
    assert change_kinds(world.compare()) == {"d": "readable"}
    assert change_kinds(run_comparisons.get_or_request(runs[0], runs[2])) == {
        "d": "unreadable",
        "d/a": "removed",
        "d/b": "unknown",
    }


def test_error_and_back_with_other_content() -> None:
    """After an error the content is compared with what was last read."""
    world = StagedReplica()
    world.run([file("a"), file("b"), file("c")])
    world.run([error_row("a"), error_row("b"), error_row("c")])
    world.run([file("a", b"rotten!"), file("b", b"new", mtime_ns=LATER_MTIME), link_row("c", "t")])
    assert change_kinds(world.compare()) == {"a": "rewritten", "b": "modified", "c": "retyped"}


def test_moves_prefer_name_then_folder() -> None:
    """Of several that match, the one of the same name is it, then the one of the same folder."""
    world = StagedReplica()
    world.run([file("a/one"), file("b/two"), file("c/three")])
    world.run([file("b/renamed"), file("z/one"), file("y/last")])
    comparison = world.compare()
    came = Change.objects.filter(comparison_id=comparison.pk, departed=False)
    assert {one.path: one.other for one in came} == {"z/one": "a/one", "b/renamed": "b/two", "y/last": "c/three"}
    assert comparison.counts == {"moved": 3}


def test_first_run_tells_errors_alone() -> None:
    """Nothing is added by a first run; what it could not read is told."""
    world = StagedReplica()
    world.run([file("a"), error_row("b"), error_row("d", stage="list")])
    comparison = world.compare()
    assert change_kinds(comparison) == {"b": "unreadable", "d": "unreadable"} and comparison.base is None


def test_failed_runs_are_stepped_over() -> None:
    """A failed run is neither compared nor in the way, and is named."""
    world = StagedReplica()
    world.run([file("a")])
    failed = world.run([], outcome="failed")
    world.run([file("b", b"b")])
    comparison = world.compare()
    assert change_kinds(comparison) == {"a": "removed", "b": "added"}
    assert list(run_comparisons.skipped_runs(comparison)) == [failed]
    assert Comparison.objects.count() == 2


def test_out_of_scope() -> None:
    """What new excludes leave out has not been removed; what they do not, has."""
    world = StagedReplica()
    digests = [scope_digest(patterns, False) for patterns in ([], ["*.tmp"])]
    for digest, text in zip(digests, ("", "*.tmp"), strict=True):
        Scope.objects.create(digest=bytes.fromhex(digest), excludes=text, cross_mounts=False)
    world.run([file("a.tmp"), file("d/b.tmp"), file("c", b"c")], config=digests[0])
    world.run([], config=digests[1])
    assert change_kinds(world.compare()) == {"a.tmp": "out_of_scope", "d/b.tmp": "out_of_scope", "c": "removed"}


def test_branches_count_below_each_directory() -> None:
    """Each directory knows how many paths below it changed, by kind; very deep ones are not counted."""
    deep = "/".join(["d"] * 100) + "/f"
    world = StagedReplica()
    world.run([file("a/b/1", b"1"), file("a/2", b"2"), file("3", b"3")])
    world.run([file("a/b/1", b"x"), file("a/2", b"y", mtime_ns=LATER_MTIME), file("3", b"z"), file(deep)])
    comparison = world.compare()
    rows = Branch.objects.filter(comparison_id=comparison.pk)
    assert {(row.directory, row.kind): row.number for row in rows if row.depth < 2} == {
        ("", "rewritten"): 2, ("", "modified"): 1, ("", "added"): 1, ("a/", "rewritten"): 1, ("a/", "modified"): 1,
        ("d/", "added"): 1,
    }  # fmt: skip
    assert rows.filter(kind="added").count() == 65


@pytest.mark.parametrize(
    "name",
    ["new\nline", "per%cent_", "quote'\"", "back\\\\slash", "\\xff\\xfe", "x" * 4000, "a/" * 1500 + "f", "\u202eb"],
)
def test_hostile_names(name: str) -> None:
    """Any name goes through whole."""
    assert between([file(name)], [file(name, b"changed")]) == {name: "rewritten"}


def test_runs_that_cannot_be_compared() -> None:
    """What is no pair of complete runs of one replica is refused in words."""
    one, other = StagedReplica(), StagedReplica()
    first, second = one.run([file("a")]), other.run([file("a")])
    failed = one.run([], outcome="failed")
    for pair in ((first, second), (first, first), (first, failed)):
        with pytest.raises(LookupError):
            run_comparisons.get_or_request(*pair)
