"""Compare duplicates with a plain computation in Python over random histories of runs, and test the command."""

from __future__ import annotations

import csv
import io
import json
import random
import uuid
from collections import defaultdict
from collections.abc import Iterable
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


class Duplicate(NamedTuple):
    """A content, as the pages, the file and the plain computation all describe it."""

    waste: int
    extra: int
    sha256: str
    names: tuple[tuple[int, str, str | None], ...]
    """Replica, path and hard link."""


def sorted_names(names: Iterable[tuple[int, str, str | None]]) -> tuple[tuple[int, str, str | None], ...]:
    """Return the names in an order that takes None, too."""
    return tuple(sorted(names, key=str))


def add_replica(staged: StagedReplica, root: str) -> StagedReplica:
    """Return another replica of the same group."""
    other = StagedReplica()
    other.replica = factories.make_replica(group=staged.replica.group, root=root)
    other.signer = factories.make_key(other.replica.server)
    return other


def compute_plainly(states: dict[int, list[Entry]], search: str = "") -> list[Duplicate]:
    """Return what the states have more than once, found with dictionaries."""
    files: dict[bytes, dict[int, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for replica, entries in states.items():
        for entry in entries:
            if entry.type == EntryType.FILE and entry.size:
                assert entry.sha256 is not None
                files[entry.sha256][replica].append(entry)

    duplicates = []
    for sha256, entries_of_replicas in files.items():
        extra = 0
        waste = 0
        matches = False
        for entries in entries_of_replicas.values():
            copies = sum(entry.detail is None for entry in entries)
            if copies > 1:
                extra += copies - 1
                waste += (copies - 1) * (entries[0].size or 0)
                matches |= any(search in entry.path for entry in entries)
        if extra and matches:
            names = [
                (replica, entry.path, entry.detail)
                for replica, entries in entries_of_replicas.items()
                for entry in entries
            ]
            duplicates.append(Duplicate(waste, extra, sha256.hex(), sorted_names(names)))
    return sorted(duplicates, key=lambda duplicate: (-duplicate.waste, -duplicate.extra, duplicate.sha256))


def read_pages(place: Place, duplicate_filter: DuplicateFilter, limit: int) -> list[Duplicate]:
    """Return all contents from the pages, one after the other. Each page has the same totals, which are their sums."""
    duplicates: list[Duplicate] = []
    totals = set()
    after = ""
    while True:
        page = queries.read_page(place, duplicate_filter, after, limit, names=1000)
        totals.add(page.totals)
        for row in page.rows:
            names = [
                (holding.run.replica_id, name.path, name.hardlink) for holding in row.holdings for name in holding.names
            ]
            assert row.paths == len({path for _replica, path, _hardlink in names})
            assert row.copies == sum(hardlink is None for _replica, _path, hardlink in names)
            duplicates.append(Duplicate(row.waste, row.extra, row.sha256, sorted_names(names)))
        if not page.after:
            break
        after = page.after

    extra = sum(duplicate.extra for duplicate in duplicates)
    waste = sum(duplicate.waste for duplicate in duplicates)

    assert totals == {queries.Totals(len(duplicates), extra, waste, 0)}

    return duplicates


def read_file(place: Place, duplicate_filter: DuplicateFilter) -> list[Duplicate]:
    """Return all contents from a download."""
    ids = dict(Replica.objects.values_list("uuid", "pk"))
    text = b"".join(export.export_bytes(place, duplicate_filter, "jsonl")).decode()

    duplicates = []
    for line in text.splitlines():
        content = json.loads(line)
        names = [(ids[uuid.UUID(name["replica"])], name["path"], name.get("hardlink")) for name in content["names"]]
        assert content["copies"] == sum(hardlink is None for _replica, _path, hardlink in names)
        duplicate = Duplicate(content["waste"], content["superfluous"], content["sha256"], sorted_names(names))
        duplicates.append(duplicate)
    return duplicates


def random_state(dice: random.Random) -> list[Record]:
    """Return files of few contents, some of them hard links of earlier ones, empty files, links and errors."""
    rows: dict[str, Record] = {}
    names = [f"d{number % 3}/{number:03d}" for number in range(60)] + [HOSTILE, "a%b_c\\\\d", "ü/\u202e"]
    for path in sorted(dice.sample(names, dice.randrange(20, len(names)))):
        earlier = [
            row for row in rows.values() if isinstance(row, Entry) and row.type == EntryType.FILE and row.detail is None
        ]
        throw = dice.randrange(10)
        if throw == 0:
            rows[path] = error_row(path)
        elif throw == 1:
            rows[path] = link_row(path, "x")
        elif throw in (2, 3) and earlier:
            first = dice.choice(earlier)
            rows[path] = first._replace(path=path, detail=first.path)
        else:
            rows[path] = file(path, b"x" * dice.choice([0, 1, 2, 3, 50, 1000 * dice.randrange(9)]))
    return list(rows.values())


@pytest.mark.parametrize("seed", range(6))
def test_as_a_plain_computation_has_it(seed: int) -> None:
    """Pages of any length and the file agree with it, for a replica and a group, with and without a search."""
    dice = random.Random(seed)
    first = StagedReplica()
    staged_replicas = [first, add_replica(first, "/b"), add_replica(first, "/c")]
    states: dict[int, list[Entry]] = {}
    for staged in staged_replicas:
        history = [random_state(dice) for _run in range(dice.randrange(1, 4))]
        for state in history:
            staged.run(state)
        staged.run([], outcome="failed")
        states[staged.replica.pk] = [row for row in history[-1] if isinstance(row, Entry)]
    group = places.find_group(first.replica.group.uuid)
    for search in ("", "d1/", "%", "\u202e", "b_c\\\\"):
        whole = compute_plainly(states, search)
        for limit in (1, 7, 500):
            assert read_pages(group, DuplicateFilter(search), limit) == whole
        assert read_file(group, DuplicateFilter(search)) == whole
        for staged in staged_replicas:
            place = places.find_replica(staged.replica.uuid)
            assert read_pages(place, DuplicateFilter(search), 5) == compute_plainly(
                {staged.replica.pk: states[staged.replica.pk]}, search
            )

    assert compute_plainly(states), "a test of nothing"


def test_hard_links_are_no_waste() -> None:
    """Two names of one file are one copy; a third name with a file of its own is the second one."""
    staged = StagedReplica()
    staged.run([file("a", b"12345"), file("b", b"12345", detail="a")])

    assert queries.read_page(places.find_replica(staged.replica.uuid)).rows == []

    staged.run([file("a", b"12345"), file("b", b"12345", detail="a"), file("c", b"12345")])
    (row,) = queries.read_page(places.find_replica(staged.replica.uuid)).rows
    assert (row.copies, row.extra, row.waste, row.paths) == (2, 1, 5, 3)
    assert [(name.path, name.hardlink) for name in row.holdings[0].names] == [("a", None), ("b", "a"), ("c", None)]


def test_one_copy_on_each_replica_is_no_waste() -> None:
    """A group whose replicas are equal and hold nothing twice has no duplicates; archived replicas do not count."""
    first = StagedReplica()
    other = add_replica(first, "/b")
    idle = add_replica(first, "/c")
    for staged in (first, other):
        staged.run([file("a", b"1"), file("b", b"22")])
    place = places.find_group(first.replica.group.uuid)

    assert queries.read_page(place).totals == (0, 0, 0, 0)
    assert [replica.pk for replica in place.replicas_without_run] == [idle.replica.pk]

    other.run([file("a", b"1"), file("copy of a", b"1")])
    place = places.find_group(first.replica.group.uuid)
    (row,) = queries.read_page(place).rows

    assert (row.copies, row.extra, row.waste, row.paths) == (3, 1, 1, 2)
    assert [holding.copies for holding in row.holdings] == [1, 2]

    Replica.objects.filter(pk=other.replica.pk).update(archived_at=timezone.now())
    assert queries.read_page(places.find_group(first.replica.group.uuid)).rows == []


def test_many_names_are_counted_and_cut() -> None:
    """A page has the first paths of a content with many, and says how many it leaves out."""
    staged = StagedReplica()
    staged.run([file(f"f{number:03d}", b"same") for number in range(50)])
    (row,) = queries.read_page(places.find_replica(staged.replica.uuid), names=3).rows
    (holding,) = row.holdings

    assert [name.path for name in holding.names] == ["f000", "f001", "f002"]
    assert (holding.number, holding.left_out) == (50, 47)
    assert (row.copies, row.paths, row.waste) == (50, 50, 49 * 4)


def test_waste_beyond_what_a_column_holds() -> None:
    """The largest sizes that runs may report add up to more in a group: exactly, and the next page follows."""
    first = StagedReplica()
    staged_replicas = [first, add_replica(first, "/b"), add_replica(first, "/c")]
    big = 2**61 - 1
    for staged in staged_replicas:
        staged.run([file(f"{name}{number}", name.encode(), size=big) for name in "ab" for number in range(2)])
    place = places.find_group(first.replica.group.uuid)

    assert [duplicate.waste for duplicate in read_pages(place, DuplicateFilter(), 1)] == [3 * big, 3 * big]
    assert queries.read_page(place).totals.waste == 6 * big > 2**63


def test_two_sizes_of_one_digest() -> None:
    """A server that reports two sizes for one digest has its copies counted with the larger one."""
    staged = StagedReplica()
    staged.run([file("a", b"x", size=5), file("b", b"x", size=7)])
    (row,) = queries.read_page(places.find_replica(staged.replica.uuid)).rows

    assert (row.size, row.waste, row.copies) == (7, 7, 2)


def test_unsigned_import_has_copies_and_no_bytes(tmp_path: Path) -> None:
    """An import in the old form has no sizes: its copies are counted, its bytes are not."""
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

    assert sorted(holding.copies for holding in row.holdings) == [1, 3]

    output, _errors, code = run_command(str(replica.uuid))
    assert code == 1 and "size of 1 of them is unknown" in output and "of unknown size" in output


def test_made_up_tokens() -> None:
    """A made-up token is refused, whatever it holds."""
    staged = StagedReplica()
    staged.run([file("a")])
    place = places.find_replica(staged.replica.uuid)
    for key in ("x", [1, 2], [1, 2, "zz"], [-1, 1, "0" * 64], [True, 1, "0" * 64], [1, 2**64, "0" * 64], [1.5, 1, "a"]):
        with pytest.raises(InvalidPageToken):
            queries.read_page(place, after=keyset.page_token(key))


def run_command(*arguments: str) -> tuple[str, str, int]:
    """Return what the command writes to stdout and stderr, and its exit code."""
    out = io.StringIO()
    err = io.StringIO()
    try:
        call_command("duplicates", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        assert isinstance(end.code, int)
        return out.getvalue(), err.getvalue(), end.code
    except CommandError as error:
        return out.getvalue(), str(error), error.returncode
    return out.getvalue(), err.getvalue(), 0


def replica_with_duplicates() -> StagedReplica:
    """Return a replica with two contents that waste space, a hard link, and a hostile name."""
    staged = StagedReplica(name="Photos")
    big = b"big" * 100
    small = b"small"
    entries = [
        file("a", big),
        file("b", big, detail="a"),
        file(HOSTILE, big),
        file("=s", small),
        file("t", small),
        file("u"),
    ]
    staged.run(entries)
    return staged


def test_command_in_words() -> None:
    """It takes the uuid of a replica, and the name or uuid of a group; no file name acts on a terminal."""
    staged = replica_with_duplicates()
    for name in (str(staged.replica.uuid), "Photos", str(staged.replica.group.uuid)):
        output, errors, code = run_command(name)
        assert (code, errors) == (1, "")
        assert "Duplicated contents: 2; extra copies: 2; wasted: 305 bytes" in output
        assert "b  [hard link to a, no extra space]" in output and "\\u202e\\x1b[31m" in output
        assert "\x1b" not in output and "\u202e" not in output
        assert output.index("300 bytes wasted") < output.index("5 bytes wasted by")
    output, _errors, code = run_command("Photos", "--limit", "1")

    assert code == 1 and "Not shown: 1 more" in output and "=s" not in output

    output, _errors, code = run_command("Photos", "--least", "300")
    assert code == 1 and "Duplicated contents: 1;" in output

    output, _errors, code = run_command("Photos", "--least", "301")
    assert code == 0 and "No duplicates." in output


def test_command_as_a_file() -> None:
    """JSON Lines has a content a line, CSV a name a row, in which no cell is a formula."""
    staged = replica_with_duplicates()
    output, _errors, code = run_command(str(staged.replica.uuid), "--json")

    assert code == 1

    lines = [json.loads(line) for line in output.splitlines()]
    assert [(content["waste"], content["copies"], len(content["names"])) for content in lines] == [
        (300, 2, 3),
        (5, 2, 2),
    ]

    rows = list(csv.DictReader(io.StringIO(run_command("Photos", "--csv")[0], newline="")))
    assert [row["path"] for row in rows] == ["a", "b", HOSTILE, "'=s", "t"]
    assert [row["hardlink"] for row in rows] == ["", "a", "", "", ""]
    assert {row["replica"] for row in rows} == {str(staged.replica.uuid)}
    assert run_command("Photos", "--csv", "--limit", "1")[0].count("\r\n") == 4


def test_command_that_cannot() -> None:
    """An unknown place, a place without a complete run and bad options end with code 2 and a reason."""
    empty = factories.make_replica()
    for arguments, words in (
        (["nowhere"], "no group"),
        ([str(uuid.uuid4())], "no replica and no group"),
        ([str(empty.uuid)], "no complete run"),
        ([empty.group.name], "no complete run"),
        (["x", "--limit", "0"], "--limit"),
        (["x", "--least", "-1"], "--least"),
    ):
        _output, errors, code = run_command(*arguments)
        assert code == 2 and words in errors, arguments
    staged = replica_with_duplicates()
    add_replica(staged, "/b")

    assert "no complete run yet" in run_command("Photos")[1]

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE scanner_version RENAME TO elsewhere")
        try:
            assert run_command("Photos")[2] == 2
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO scanner_version")
