"""Duplicates against a computation in plain Python, over random histories of real runs; and the command."""

from __future__ import annotations

import csv
import io
import json
import random
import uuid
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from checker.duplicates import export, places, queries
from checker.duplicates.places import Place
from checker.duplicates.queries import DuplicateFilter
from scanner.db import keyset
from scanner.errors import InvalidPageToken
from scanner.format.entry_type import EntryType
from scanner.format.records import Entry, Record
from scanner.ingest import worker
from scanner.models import Replica
from tests.checker.staged_replica import StagedReplica, file
from tests.scanner import factories
from tests.scanner.factories import error_row, link_row
from tests.scanner.ingest.test_legacy import document

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "d/<b>\n\u202e\x1b[31m.jpg"


class Told(NamedTuple):
    """A content, as the page and the plain computation both tell it."""

    waste: int
    extra: int
    sha256: str
    names: tuple[tuple[int, str, str | None], ...]


def add_replica(world: StagedReplica, root: str) -> StagedReplica:
    """Another replica of the same group."""
    other = StagedReplica()
    other.replica = factories.make_replica(group=world.replica.group, root=root)
    other.signer = factories.make_key(other.replica.server)
    return other


def naive(states: dict[int, list[Entry]], search: str = "") -> list[Told]:
    """What is held more than once, found with dictionaries."""
    held: dict[bytes, dict[int, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for replica, rows in states.items():
        for row in rows:
            if row.type == EntryType.FILE and row.size:
                assert row.sha256 is not None
                held[row.sha256][replica].append(row)
    found = []
    for sha256, on in held.items():
        extra, waste, fits = 0, 0, False
        for rows in on.values():
            copies = sum(row.detail is None for row in rows)
            if copies > 1:
                extra, waste = extra + copies - 1, waste + (copies - 1) * (rows[0].size or 0)
                fits |= any(search in row.path for row in rows)
        if extra and fits:
            names = ((replica, row.path, row.detail) for replica, rows in on.items() for row in rows)
            found.append(Told(waste, extra, sha256.hex(), tuple(sorted(names, key=str))))
    return sorted(found, key=lambda one: (-one.waste, -one.extra, one.sha256))


def paged(place: Place, wish: DuplicateFilter, limit: int) -> list[Told]:
    """The same from the pages, one after the other; each tells the same totals, which are their sums."""
    found: list[Told] = []
    totals, after = set(), ""
    while True:
        page = queries.read_page(place, wish, after, limit, names=1000)
        totals.add(page.totals)
        for row in page.rows:
            names = [
                (held.run.replica_id, name.path, name.hardlink) for held in row.holdings for name in held.names
            ]  # fmt: skip
            assert row.paths == len({path for _replica, path, _link in names})
            assert row.copies == sum(link is None for *_name, link in names)
            found.append(Told(row.waste, row.extra, row.sha256, tuple(sorted(names, key=str))))
        if not page.after:
            break
        after = page.after
    sums = queries.Totals(len(found), sum(one.extra for one in found), sum(one.waste for one in found), 0)
    assert totals == {sums}
    return found


def filed(place: Place, wish: DuplicateFilter) -> list[Told]:
    """The same from a download."""
    ids = dict(Replica.objects.values_list("uuid", "pk"))
    found = []
    for line in b"".join(export.export_bytes(place, wish, "jsonl")).decode().splitlines():
        one = json.loads(line)
        names = [(ids[uuid.UUID(name["replica"])], name["path"], name.get("hardlink")) for name in one["names"]]
        assert one["copies"] == sum(link is None for *_name, link in names)
        found.append(Told(one["waste"], one["superfluous"], one["sha256"], tuple(sorted(names, key=str))))
    return found


def random_state(dice: random.Random) -> list[Record]:
    """Files of few contents, some of them hard links of earlier ones, empty files, links and errors."""
    rows: dict[str, Record] = {}
    names = [f"d{number % 3}/{number:03d}" for number in range(60)] + [HOSTILE, "a%b_c\\\\d", "ü/\u202e"]
    for path in sorted(dice.sample(names, dice.randrange(20, len(names)))):
        earlier = [
            row for row in rows.values() if isinstance(row, Entry) and row.type == EntryType.FILE and row.detail is None
        ]
        what = dice.randrange(10)
        if what == 0:
            rows[path] = error_row(path)
        elif what == 1:
            rows[path] = link_row(path, "x")
        elif what in (2, 3) and earlier:
            first = dice.choice(earlier)
            rows[path] = first._replace(path=path, detail=first.path)
        else:
            rows[path] = file(path, b"x" * dice.choice([0, 1, 2, 3, 50, 1000 * dice.randrange(9)]))
    return list(rows.values())


@pytest.mark.parametrize("seed", range(6))
def test_as_a_plain_computation_has_it(seed: int) -> None:
    """Of a replica and of a group, by pages of any length and as a file, with and without a search."""
    dice = random.Random(seed)
    worlds = [first := StagedReplica(), add_replica(first, "/b"), add_replica(first, "/c")]
    states: dict[int, list[Entry]] = {}
    for world in worlds:
        history = [random_state(dice) for _run in range(dice.randrange(1, 4))]
        for state in history:
            world.run(state)
        world.run([], outcome="failed")
        states[world.replica.pk] = [row for row in history[-1] if isinstance(row, Entry)]
    group = places.find_group(first.replica.group.uuid)
    for search in ("", "d1/", "%", "\u202e", "b_c\\\\"):
        whole = naive(states, search)
        for limit in (1, 7, 500):
            assert paged(group, DuplicateFilter(search), limit) == whole
        assert filed(group, DuplicateFilter(search)) == whole
        for world in worlds:
            place = places.find_replica(world.replica.uuid)
            assert paged(place, DuplicateFilter(search), 5) == naive(
                {world.replica.pk: states[world.replica.pk]}, search
            )
    assert naive(states), "a test of nothing"


def test_hard_links_are_no_waste() -> None:
    """Two names of one file are one copy; a third name with a file of its own is the second one."""
    world = StagedReplica()
    world.run([file("a", b"12345"), file("b", b"12345", detail="a")])
    assert queries.read_page(places.find_replica(world.replica.uuid)).rows == []
    world.run([file("a", b"12345"), file("b", b"12345", detail="a"), file("c", b"12345")])
    (row,) = queries.read_page(places.find_replica(world.replica.uuid)).rows
    assert (row.copies, row.extra, row.waste, row.paths) == (2, 1, 5, 3)
    assert [(name.path, name.hardlink) for name in row.holdings[0].names] == [("a", None), ("b", "a"), ("c", None)]


def test_one_copy_on_each_replica_is_no_waste() -> None:
    """A group whose replicas are equal and hold nothing twice has no duplicates; archived replicas do not count."""
    first = StagedReplica()
    other, idle = add_replica(first, "/b"), add_replica(first, "/c")
    for world in (first, other):
        world.run([file("a", b"1"), file("b", b"22")])
    place = places.find_group(first.replica.group.uuid)
    assert queries.read_page(place).totals == (0, 0, 0, 0)
    assert [one.pk for one in place.replicas_without_run] == [idle.replica.pk]
    other.run([file("a", b"1"), file("copy of a", b"1")])
    place = places.find_group(first.replica.group.uuid)
    (row,) = queries.read_page(place).rows
    assert (row.copies, row.extra, row.waste, row.paths) == (3, 1, 1, 2)
    assert [held.copies for held in row.holdings] == [1, 2]
    Replica.objects.filter(pk=other.replica.pk).update(archived_at=timezone.now())
    assert queries.read_page(places.find_group(first.replica.group.uuid)).rows == []


def test_many_names_are_counted_and_cut() -> None:
    """Of a content with many names a page tells the first ones and how many are left out."""
    world = StagedReplica()
    world.run([file(f"f{number:03d}", b"same") for number in range(50)])
    (row,) = queries.read_page(places.find_replica(world.replica.uuid), names=3).rows
    (held,) = row.holdings
    assert ([name.path for name in held.names], held.number, held.left_out) == (["f000", "f001", "f002"], 50, 47)
    assert (row.copies, row.paths, row.waste) == (50, 50, 49 * 4)


def test_waste_beyond_what_a_column_holds() -> None:
    """Sizes that a run may just report add up to more in a group: told to the last byte, and pages go on behind it."""
    worlds, big = [first := StagedReplica(), add_replica(first, "/b"), add_replica(first, "/c")], 2**61 - 1
    for world in worlds:
        world.run([file(f"{name}{at}", name.encode(), size=big) for name in "ab" for at in range(2)])
    place = places.find_group(first.replica.group.uuid)
    assert [one.waste for one in paged(place, DuplicateFilter(), 1)] == [3 * big, 3 * big]
    assert queries.read_page(place).totals.waste == 6 * big > 2**63


def test_two_sizes_of_one_digest() -> None:
    """A server that reports two sizes for one digest has its copies counted with the larger one."""
    world = StagedReplica()
    world.run([file("a", b"x", size=5), file("b", b"x", size=7)])
    (row,) = queries.read_page(places.find_replica(world.replica.uuid)).rows
    assert (row.size, row.waste, row.copies) == (7, 7, 2)


def test_unsigned_import_has_copies_and_no_bytes(tmp_path: Path) -> None:
    """What is imported in the old form has no sizes: its copies are counted, its bytes are not."""
    (tmp_path / "old.json").write_bytes(document())
    call_command("import_report", str(tmp_path / "old.json"), "--server", "nas", stdout=io.StringIO())
    assert worker.ingest_waiting() == 1
    replica = Replica.objects.get()
    page = queries.read_page(places.find_replica(replica.uuid))
    assert page.totals == (1, 2, 0, 1)
    assert (page.rows[0].size, page.rows[0].waste, page.rows[0].copies) == (None, 0, 3)
    signed = StagedReplica()
    Replica.objects.filter(pk=signed.replica.pk).update(group=replica.group)
    signed.replica.refresh_from_db()
    signed.run([file("one", b"x")])
    (row,) = queries.read_page(places.find_group(replica.group.uuid)).rows
    assert sorted(held.copies for held in row.holdings) == [1, 3]
    said, _told, code = command(str(replica.uuid))
    assert code == 1 and "size of 1 of them is unknown" in said and "of unknown size" in said


def test_tokens_that_no_page_gave() -> None:
    """A made-up place in the list is refused, whatever it holds."""
    world = StagedReplica()
    world.run([file("a")])
    place = places.find_replica(world.replica.uuid)
    for key in ("x", [1, 2], [1, 2, "zz"], [-1, 1, "0" * 64], [True, 1, "0" * 64], [1, 2**64, "0" * 64], [1.5, 1, "a"]):
        with pytest.raises(InvalidPageToken):
            queries.read_page(place, after=keyset.page_token(key))


def command(*arguments: str) -> tuple[str, str, int]:
    """What the command writes to stdout and stderr, and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("duplicates", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        assert isinstance(end.code, int)
        return out.getvalue(), err.getvalue(), end.code
    except CommandError as error:
        return out.getvalue(), str(error), error.returncode
    return out.getvalue(), err.getvalue(), 0


def some() -> StagedReplica:
    """A replica with two contents that waste, a hard link, and a hostile name."""
    world = StagedReplica(name="Photos")
    big, small = b"big" * 100, b"small"
    world.run([
        file("a", big), file("b", big, detail="a"), file(HOSTILE, big), file("=s", small), file("t", small), file("u"),
    ])  # fmt: skip
    return world


def test_command_in_words() -> None:
    """By uuid of the replica, by name and uuid of the group; no name acts on a terminal."""
    world = some()
    for name in (str(world.replica.uuid), "Photos", str(world.replica.group.uuid)):
        said, told, code = command(name)
        assert (code, told) == (1, "")
        assert "Duplicated contents: 2; extra copies: 2; wasted: 305 bytes" in said
        assert "b  [hard link to a, no extra space]" in said and "\\u202e\\x1b[31m" in said
        assert "\x1b" not in said and "\u202e" not in said
        assert said.index("300 bytes wasted") < said.index("5 bytes wasted by")
    said, _told, code = command("Photos", "--limit", "1")
    assert code == 1 and "Not shown: 1 more" in said and "=s" not in said
    said, _told, code = command("Photos", "--least", "300")
    assert code == 1 and "Duplicated contents: 1;" in said
    said, _told, code = command("Photos", "--least", "301")
    assert code == 0 and "No duplicates." in said


def test_command_as_a_file() -> None:
    """JSON Lines has a content a line, CSV a name a row, in which no cell is a formula."""
    world = some()
    said, _told, code = command(str(world.replica.uuid), "--json")
    assert code == 1
    lines = [json.loads(line) for line in said.splitlines()]
    assert [(one["waste"], one["copies"], len(one["names"])) for one in lines] == [(300, 2, 3), (5, 2, 2)]
    rows = list(csv.DictReader(io.StringIO(command("Photos", "--csv")[0], newline="")))
    assert [row["path"] for row in rows] == ["a", "b", HOSTILE, "'=s", "t"]
    assert [row["hardlink"] for row in rows] == ["", "a", "", "", ""]
    assert {row["replica"] for row in rows} == {str(world.replica.uuid)}
    assert command("Photos", "--csv", "--limit", "1")[0].count("\r\n") == 4


def test_command_that_cannot() -> None:
    """What is not there, has no complete run, or makes no sense ends with code 2 and says why."""
    empty = factories.make_replica()
    for arguments, words in (
        (["nowhere"], "no group"),
        ([str(uuid.uuid4())], "no replica and no group"),
        ([str(empty.uuid)], "no complete run"),
        ([empty.group.name], "no complete run"),
        (["x", "--limit", "0"], "--limit"),
        (["x", "--least", "-1"], "--least"),
    ):
        _said, told, code = command(*arguments)
        assert code == 2 and words in told, arguments
    world = some()
    add_replica(world, "/b")
    assert "no complete run yet" in command("Photos")[1]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE scanner_version RENAME TO elsewhere")
        try:
            assert command("Photos")[2] == 2
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO scanner_version")
