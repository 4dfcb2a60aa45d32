"""Find what became of each path between two runs: every rule by itself, and where two of them meet."""

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


def newest_changes(*runs: list[Record]) -> dict[str, str]:
    """Return the kinds of change of the newest of these runs, by path."""
    staged = StagedReplica()
    for records in runs:
        staged.run(records)
    return change_kinds(staged.compare())


BASE: list[Record] = [file("keep")]


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
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
def test_each_rule(old: list[Record], new: list[Record], kinds: dict[str, str]) -> None:
    """Each rule by itself, with the least that makes it fit."""
    assert newest_changes(BASE + old, BASE + new) == kinds


def confirmed_note(path: str, against: str, *, same: bool = True, was_path: str = "") -> Note:
    """Return the note that a change was confirmed against a run, with the same ctime or with another one.

    `was_path` is the path that the file had in that run, where it was another one.
    """
    detail = {"against": against, "ctime_same": same, "cold": True, "engines": ["hashlib", "native"], "reads": 3}
    if was_path:
        detail["was_path"] = was_path
    return Note(path, "confirmed", json.dumps(detail, separators=(",", ":")))


def test_corrupted_needs_the_note_of_its_run() -> None:
    """Only a confirmed change under the same ctime, against the very run before, is called damage."""
    staged = StagedReplica()
    first = staged.run([file("a"), file("b"), file("c"), file("d")])
    notes = [
        confirmed_note("a", str(first.uuid)),
        confirmed_note("b", str(first.uuid), same=False),
        confirmed_note("c", "00000000-0000-4000-8000-000000000000"),
        confirmed_note("d", str(first.uuid)),
    ]
    changed = [file(name, b"changed") for name in "abc"]
    staged.run([*changed, file("d", b"changed", mtime_ns=LATER_MTIME), *notes])
    comparison = staged.compare()

    assert change_kinds(comparison) == {"a": "corrupted", "b": "rewritten", "c": "rewritten", "d": "modified"}

    change = Change.objects.get(comparison_id=comparison.pk, path="a")
    assert change.notes == {"confirmed": json.loads(notes[0].detail)}


def test_reverted_comes_before_damage() -> None:
    """An earlier content is reported as such, whatever its mtime."""
    staged = StagedReplica()
    staged.run([file("a", b"one")])
    staged.run([file("a", b"two", mtime_ns=LATER_MTIME)])
    staged.run([file("a", b"one", mtime_ns=LATER_MTIME)])

    assert change_kinds(staged.compare()) == {"a": "reverted"}


def test_there_and_back_is_no_change() -> None:
    """A path that became another and is again as it was does not differ."""
    staged = StagedReplica()
    runs = [staged.run([file("a", content)]) for content in (b"one", b"two", b"one")]

    assert change_kinds(run_comparisons.get_or_request(runs[0], runs[2])) == {}


def test_unknown_and_back() -> None:
    """Paths below an unlistable directory are neither removed nor added when they come back as they were."""
    staged = StagedReplica()
    before = [file("d/same"), file("d/edited"), file("d/gone"), file("d/e/deep"), file("x")]
    staged.run(before)
    staged.run([error_row("d", stage="list"), file("x")])

    assert change_kinds(staged.compare()) == {
        "d": "unreadable",
        "d/same": "unknown",
        "d/edited": "unknown",
        "d/gone": "unknown",
        "d/e/deep": "unknown",
    }
    staged.run([error_row("d", stage="list"), file("x")])

    assert change_kinds(staged.compare()) == {}

    staged.run(
        [file("d/same"), file("d/edited", b"new", mtime_ns=LATER_MTIME), file("d/new"), file("d/e/deep"), file("x")]
    )
    assert change_kinds(staged.compare()) == {
        "d": "readable",
        "d/edited": "modified",
        "d/gone": "-moved",
        "d/new": "moved",
    }


def test_mounted_over_and_back() -> None:
    """Paths behind a new mount are unknown, not removed, and are compared with what they were when they come back."""
    staged = StagedReplica()
    staged.run([file("d/same"), file("d/edited"), file("d/e/deep"), file("x")])
    staged.run([special_row("d", "mount"), file("x")])

    assert change_kinds(staged.compare()) == {
        "d": "added",
        "d/same": "unknown",
        "d/edited": "unknown",
        "d/e/deep": "unknown",
    }

    staged.run([special_row("d", "mount"), file("x")])
    assert change_kinds(staged.compare()) == {}

    staged.run([file("d/same"), file("d/edited", b"new", mtime_ns=LATER_MTIME), file("d/e/deep"), file("x")])
    assert change_kinds(staged.compare()) == {"d": "removed", "d/edited": "modified"}


def test_mounts_that_a_run_no_longer_enters() -> None:
    """Paths behind a mount are out of scope when the option to enter mounts was switched off."""
    staged = StagedReplica()
    for crosses in (True, False):
        digest = bytes.fromhex(scope_digest([], crosses))
        Scope.objects.create(digest=digest, excludes="", cross_mounts=crosses)
    staged.run([file("d/a"), file("x")], config=scope_digest([], True))
    staged.run([special_row("d", "mount"), file("x")], config=scope_digest([], False))

    assert change_kinds(staged.compare()) == {"d": "added", "d/a": "out_of_scope"}


def test_a_mount_over_an_unlistable_directory() -> None:
    """A mount hides the directory and does not make it readable."""
    staged = StagedReplica()
    staged.run([file("d/a"), file("x")])
    staged.run([error_row("d", stage="list"), file("x")])
    staged.run([special_row("d", "mount"), file("x")])

    assert change_kinds(staged.compare()) == {"d": "added"}

    staged.run([file("d/a"), file("x")])
    assert change_kinds(staged.compare()) == {"d": "removed"}


def test_nested_covers() -> None:
    """One unlistable directory after the other hides without a gap."""
    staged = StagedReplica()
    staged.run([file("d/e/a"), file("x")])
    staged.run([error_row("d/e", stage="list"), file("x")])

    assert change_kinds(staged.compare()) == {"d/e": "unreadable", "d/e/a": "unknown"}

    staged.run([error_row("d", stage="list"), file("x")])
    assert change_kinds(staged.compare()) == {"d": "unreadable", "d/e": "unknown"}

    staged.run([file("x")])
    assert change_kinds(staged.compare()) == {"d": "removed", "d/e/a": "removed"}


def test_gone_before_it_was_hidden() -> None:
    """A path that was seen to be removed is not unknown because its directory cannot be listed later."""
    staged = StagedReplica()
    runs = [
        staged.run([file("d/a"), file("d/b", b"2")]),
        staged.run([file("d/b", b"2")]),
        staged.run([error_row("d", stage="list")]),
        staged.run([file("d/b", b"2")]),
    ]

    assert change_kinds(staged.compare()) == {"d": "readable"}
    assert change_kinds(run_comparisons.get_or_request(runs[0], runs[2])) == {
        "d": "unreadable",
        "d/a": "removed",
        "d/b": "unknown",
    }


def test_error_and_back_with_other_content() -> None:
    """After an error the content is compared with what was last read."""
    staged = StagedReplica()
    staged.run([file("a"), file("b"), file("c")])
    staged.run([error_row("a"), error_row("b"), error_row("c")])
    staged.run([file("a", b"rotten!"), file("b", b"new", mtime_ns=LATER_MTIME), link_row("c", "t")])

    assert change_kinds(staged.compare()) == {"a": "rewritten", "b": "modified", "c": "retyped"}


def test_moves_prefer_name_then_directory() -> None:
    """Among several paths with the same content a move goes to the same name, then to the same directory."""
    staged = StagedReplica()
    staged.run([file("a/one"), file("b/two"), file("c/three")])
    staged.run([file("b/renamed"), file("z/one"), file("y/last")])
    comparison = staged.compare()
    arrived = Change.objects.filter(comparison_id=comparison.pk, departed=False)

    assert {change.path: change.other for change in arrived} == {
        "z/one": "a/one",
        "b/renamed": "b/two",
        "y/last": "c/three",
    }
    assert comparison.counts == {"moved": 3}


def test_first_run_has_errors_alone() -> None:
    """A first run adds nothing; what it could not read is reported."""
    staged = StagedReplica()
    staged.run([file("a"), error_row("b"), error_row("d", stage="list")])
    comparison = staged.compare()

    assert change_kinds(comparison) == {"b": "unreadable", "d": "unreadable"} and comparison.base is None


def test_failed_runs_are_skipped() -> None:
    """A failed run is neither compared nor in the way, and is named."""
    staged = StagedReplica()
    staged.run([file("a")])
    failed = staged.run([], outcome="failed")
    staged.run([file("b", b"b")])
    comparison = staged.compare()

    assert change_kinds(comparison) == {"a": "removed", "b": "added"}
    assert list(run_comparisons.skipped_runs(comparison)) == [failed]
    assert Comparison.objects.count() == 2


def test_out_of_scope() -> None:
    """A path that new excludes leave out has not been removed; any other path has."""
    staged = StagedReplica()
    digests = [scope_digest(patterns, False) for patterns in ([], ["*.tmp"])]
    for digest, text in zip(digests, ("", "*.tmp"), strict=True):
        Scope.objects.create(digest=bytes.fromhex(digest), excludes=text, cross_mounts=False)
    staged.run([file("a.tmp"), file("d/b.tmp"), file("c", b"c")], config=digests[0])
    staged.run([], config=digests[1])

    assert change_kinds(staged.compare()) == {"a.tmp": "out_of_scope", "d/b.tmp": "out_of_scope", "c": "removed"}


def test_branches_count_below_each_directory() -> None:
    """Each directory knows how many paths below it changed, by kind; very deep ones are not counted."""
    deep = "/".join(["d"] * 100) + "/f"
    staged = StagedReplica()
    staged.run([file("a/b/1", b"1"), file("a/2", b"2"), file("3", b"3")])
    staged.run([file("a/b/1", b"x"), file("a/2", b"y", mtime_ns=LATER_MTIME), file("3", b"z"), file(deep)])
    comparison = staged.compare()
    rows = Branch.objects.filter(comparison_id=comparison.pk)

    assert {(row.directory, row.kind): row.number for row in rows if row.depth < 2} == {
        ("", "rewritten"): 2,
        ("", "modified"): 1,
        ("", "added"): 1,
        ("a/", "rewritten"): 1,
        ("a/", "modified"): 1,
        ("d/", "added"): 1,
    }
    assert rows.filter(kind="added").count() == 65


@pytest.mark.parametrize(
    "name",
    ["new\nline", "per%cent_", "quote'\"", "back\\\\slash", "\\xff\\xfe", "x" * 4000, "a/" * 1500 + "f", "\u202eb"],
)
def test_hostile_names(name: str) -> None:
    """Any name goes through whole."""
    assert newest_changes([file(name)], [file(name, b"changed")]) == {name: "rewritten"}


def test_runs_that_cannot_be_compared() -> None:
    """Anything but two complete runs of one replica is refused with a sentence."""
    staged = StagedReplica()
    other_replica = StagedReplica()
    run = staged.run([file("a")])
    run_of_other = other_replica.run([file("a")])
    failed = staged.run([], outcome="failed")

    for pair in ((run, run_of_other), (run, run), (run, failed)):
        with pytest.raises(LookupError):
            run_comparisons.get_or_request(*pair)


def test_note_that_is_no_jsonb() -> None:
    """A note with a NUL, which older versions accepted, counts as one without members, and its run is compared."""
    staged = StagedReplica()
    first = staged.run([file("a"), file("b"), file("c")])
    notes = [confirmed_note("a", str(first.uuid)), confirmed_note("b", str(first.uuid)), Note("c", "clock")]
    run = staged.run([*[file(name, b"changed") for name in "abc"], *notes])
    with_nul = notes[0].detail[:-1] + ',"tool":"\\u0000"}'
    with_backslash = notes[1].detail[:-1] + ',"tool":"\\\\u0000"}'
    run.notes.filter(path="a").update(detail=with_nul)
    run.notes.filter(path="b").update(detail=with_backslash)

    comparison = staged.compare()

    assert comparison.state == Comparison.State.DONE
    assert change_kinds(comparison) == {"a": "rewritten", "b": "corrupted", "c": "rewritten"}

    stored = dict(Change.objects.filter(comparison_id=comparison.pk).values_list("path", "notes"))
    assert stored == {"a": {"confirmed": {}}, "b": {"confirmed": json.loads(with_backslash)}, "c": {"clock": {}}}


def test_a_file_that_was_renamed_and_changed() -> None:
    """A rename hides no rot: a file of the same size and time with other content is the file that went."""
    staged = StagedReplica()
    staged.run([file("old", b"1234", mtime_ns=LATER_MTIME), file("keep")])
    run = staged.run([file("new", b"12x4", mtime_ns=LATER_MTIME), file("keep")])
    assert change_kinds(staged.compare()) == {"old": "-rewritten", "new": "rewritten"}
    (change,) = Change.objects.filter(path="new")
    assert change.other == "old"

    note = confirmed_note("newest", str(run.uuid))
    staged.run([file("newest", b"12y4", mtime_ns=LATER_MTIME), file("keep"), note])
    assert change_kinds(staged.compare()) == {"new": "-corrupted", "newest": "corrupted"}


def test_a_directory_that_was_renamed_while_files_rotted() -> None:
    """Files of one directory that all have the same time are known by their names, and by where the others went."""
    staged = StagedReplica()
    staged.run([file(f"a/{number}", b"%04d" % number) for number in range(9)])
    rotten = {3: b"xxxx", 4: b"yyyy"}
    staged.run([file(f"b/{number}", rotten.get(number, b"%04d" % number)) for number in range(9)])
    kinds = change_kinds(staged.compare())
    assert {path for path, kind in kinds.items() if kind == "rewritten"} == {"b/3", "b/4"}
    assert {kind for path, kind in kinds.items() if path not in ("a/3", "a/4", "b/3", "b/4")} == {"moved", "-moved"}


def test_a_file_that_the_collector_knew_again() -> None:
    """A file that shares a time with others is the one that the collector knew by its inode."""
    staged = StagedReplica()
    run = staged.run([file("a", b"1111"), file("b", b"2222"), file("c", b"3333"), file("keep")])
    staged.run(
        [
            *(file("x", b"4444"), file("y", b"5555"), file("z", b"6666"), file("keep")),
            confirmed_note("x", str(run.uuid), was_path="b"),
            confirmed_note("y", str(run.uuid), same=False, was_path="a"),
        ]
    )
    assert change_kinds(staged.compare()) == {
        "a": "-rewritten",
        "b": "-corrupted",
        # Only these two are left of that time.
        "c": "-rewritten",
        "x": "corrupted",
        "y": "rewritten",
        "z": "rewritten",
    }
    changes = dict(Change.objects.filter(departed=False).values_list("path", "other"))
    assert changes == {"x": "b", "y": "a", "z": "c"}


@pytest.mark.parametrize(
    "claims", [{"x": "a", "y": "a"}, {"x": "nowhere", "y": "x"}, {"x": "keep", "y": "y"}, {"x": "big", "y": "link"}]
)
def test_what_no_file_can_have_been(claims: dict[str, str]) -> None:
    """A path that two files claim, that did not go, or that held something else makes no pair."""
    staged = StagedReplica()
    old = [file("a", b"1111"), file("b", b"2222"), file("big", b"22222"), link_row("link", "a"), file("keep")]
    run = staged.run(old)
    notes = [confirmed_note(path, str(run.uuid), was_path=was_path) for path, was_path in claims.items()]
    staged.run([file("x", b"4444"), file("y", b"5555"), file("keep"), *notes])
    assert set(change_kinds(staged.compare()).values()) == {"added", "removed"}


def test_other_files_that_come_and_go() -> None:
    """Files that share a time with others, or have another size, are no renamed ones."""
    staged = StagedReplica()
    staged.run([file("a", b"1111"), file("b", b"2222"), file("c", b"3", mtime_ns=LATER_MTIME), file("keep")])
    staged.run([file("x", b"4444"), file("y", b"5555"), file("z", b"66", mtime_ns=LATER_MTIME), file("keep")])
    assert set(change_kinds(staged.compare()).values()) == {"added", "removed"}
