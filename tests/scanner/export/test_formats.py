"""Exports of a run, held against the real tools that read them."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from scanner.export import formats, report
from scanner.export.csv import escape_formula
from scanner.export.hashdeep import MAX_LINE
from scanner.export.omissions import Omissions
from scanner.format import paths
from scanner.format.records import Note, Record
from scanner.ingest import worker
from scanner.models import Run, Version
from tests.scanner.factories import accept, error_row, file_row, link_row, make_key, make_replica, special_row
from tests.scanner.ingest.test_legacy import document

pytestmark = pytest.mark.django_db(transaction=True)

NASTY = [
    b"-x",
    b" sp ",
    b"#hash",
    b"*star",
    b"\\n",
    b"a\\b",
    b"a\nb",
    b"a\rb",
    b"cr\r",
    b"d/\xff\xfe",
    b"d/co,ma, (x) = y",
    b"empty",
    b"same 1",
    b"same 2",
    "фото/é 100%".encode(),
    b"\xe2\x80\xae\x1b[31m",
]
GNU = "GNU coreutils" in subprocess.run(["sha256sum", "--version"], capture_output=True, text=True, check=False).stdout
gnu = pytest.mark.skipif(not GNU, reason="sha256sum is not GNU's")
deep = pytest.mark.skipif(shutil.which("hashdeep") is None, reason="hashdeep is not installed")
busy = pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")


def make_tree(root: Path, names: list[bytes]) -> Run:
    """Files of these names below `root`, and a complete run that found them, a hard link, a link and a socket."""
    rows: list[Record] = [link_row("to", "a"), special_row("zz", "socket"), Note("-x", "vanished")]
    for name in names:
        content = b"" if name == b"empty" else b"same" if name.startswith(b"same") else name
        path = os.path.join(bytes(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        rows.append(file_row(paths.encode(name), content))

    os.link(os.path.join(bytes(root), names[0]), os.path.join(bytes(root), b"z-hard"))
    rows.append(file_row("z-hard", names[0], detail=paths.encode(names[0])))
    return make_run(rows)


def make_run(rows: Sequence[Record]) -> Run:
    """A complete run of these records."""
    replica = make_replica()
    accept(replica, make_key(replica.server), rows)
    worker.ingest_replica(replica.pk)
    return Run.objects.select_related("replica").get(replica=replica)


def export_run(run: Run, form: str, target: Path, *more: str) -> tuple[int, str]:
    """Exit code and stderr of the command."""
    output = StringIO()
    try:
        call_command("export_run", str(run.uuid), "--format", form, "--output", str(target), *more, stderr=output)
    except SystemExit as ended:
        return int(ended.code or 0), output.getvalue()
    except CommandError as error:
        return error.returncode, str(error)

    return 0, output.getvalue()


def tool(where: Path, *command: str | Path) -> int:
    """The exit code of a real tool, started in `where`."""
    return subprocess.run(list(map(str, command)), cwd=where, capture_output=True, check=False).returncode


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory for the files."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@gnu
@pytest.mark.parametrize("form", ["sha256sum", "md5sum", "bsd"])
def test_coreutils_read_every_name(root: Path, form: str) -> None:
    """A list checks with coreutils, strictly and whatever the names are; a changed byte and a missing file do not."""
    listed = root.parent / "list"
    assert export_run(make_tree(root, NASTY), form, listed) == (
        0,
        "left out, symbolic link: 1 (to)\nleft out, special file: 1 (zz)\n",
    )

    strict = [] if form == "bsd" else ["--strict"]  # half of its lines are of the other algorithm
    checkers = ["sha256sum", "md5sum"] if form == "bsd" else [form]

    assert [tool(root, checker, *strict, "-c", listed) for checker in checkers] == [0] * len(checkers)

    (root / "a\nb").write_bytes(b"A\nb")
    assert [tool(root, checker, "-c", listed) for checker in checkers] == [1] * len(checkers)

    (root / "a\nb").write_bytes(b"a\nb")
    (root / "-x").unlink()

    assert [tool(root, checker, "-c", listed) for checker in checkers] == [1] * len(checkers)


@gnu
@pytest.mark.parametrize("checker", ["sha256sum", "md5sum"])
def test_a_list_is_what_the_tool_itself_writes(root: Path, checker: str) -> None:
    """Plain and tagged lists have, byte for byte, the lines that coreutils print for these files."""
    run = make_tree(root, NASTY)
    tag = b"SHA256" if checker == "sha256sum" else b"MD5"
    export_run(run, checker, root.parent / "plain")
    export_run(run, "bsd", root.parent / "tagged")
    names = sorted([*NASTY, b"z-hard"])
    plain, tagged = (
        subprocess.run([checker, *more, "--", *names], cwd=root, capture_output=True, check=True).stdout
        for more in ([], ["--tag"])
    )

    assert sorted((root.parent / "plain").read_bytes().splitlines(True)) == sorted(plain.splitlines(True))

    lines = [
        line for line in (root.parent / "tagged").read_bytes().splitlines(True) if line.lstrip(b"\\").startswith(tag)
    ]
    assert sorted(lines) == sorted(tagged.splitlines(True))


@busy
def test_busybox_reads_names_without_an_escape(root: Path) -> None:
    """Busybox knows no escape: it checks every list whose names need none, and fails on others."""
    run = make_tree(root, [name for name in NASTY if not {*b"\\\n\r"} & {*name}])
    for form in ("sha256sum", "md5sum"):
        export_run(run, form, root.parent / form)
        assert tool(root, "busybox", form, "-c", root.parent / form) == 0
        (root.parent / form).write_bytes(b"\\" + b"0" * (64 if form == "sha256sum" else 32) + b"  a\\nb\n")
        assert tool(root, "busybox", form, "-c", root.parent / form) != 0


@deep
def test_hashdeep_audits(root: Path) -> None:
    """The audit of a directory passes, and fails for a changed, a renamed and a new file."""
    listed = root.parent / "known"
    fit = [name for name in NASTY if b"\n" not in name and not name.endswith(b"\r")]

    assert export_run(make_tree(root, fit), "hashdeep", listed)[0] == 0

    audit: list[str | Path] = ["hashdeep", "-r", "-l", "-a", "-k", listed, "."]
    assert b"## left out, symbolic link: 1 (to)\n" in listed.read_bytes()
    assert tool(root, *audit) == 0

    for act, undo in (
        (lambda: (root / "-x").write_bytes(b"-y"), lambda: (root / "-x").write_bytes(b"-x")),
        (lambda: (root / "empty").rename(root / "void"), lambda: (root / "void").rename(root / "empty")),
        (lambda: (root / "new").write_bytes(b"new"), (root / "new").unlink),
    ):
        act()
        assert tool(root, *audit) != 0
        undo()
        assert tool(root, *audit) == 0


@deep
def test_what_hashdeep_cannot_read_is_left_out_and_told(root: Path) -> None:
    """Names with a line end, or a carriage return at the end, and long ones are named; the rest audits."""
    long = b"/".join([b"d" * 190] * 11)
    listed = root.parent / "known"
    code, output = export_run(make_tree(root, [*NASTY, long]), "hashdeep", listed)

    assert code == 1 and "left out, name that this form cannot say: 3 (a\\nb, cr\\r, ddd" in output
    assert b"## left out, name that this form cannot say: 3 (" in listed.read_bytes()

    for name in (b"a\nb", b"cr\r", long):
        os.unlink(os.path.join(bytes(root), name))
    assert tool(root, "hashdeep", "-r", "-l", "-a", "-k", listed, ".") == 0


@deep
@pytest.mark.parametrize("more", [0, 1])
def test_the_longest_line_of_hashdeep(root: Path, more: int) -> None:
    """The real tool reads a line of LONGEST bytes whole, and not one of a byte more."""
    size = MAX_LINE + more - len(f"1,{'0' * 32},{'0' * 64},./")
    name = "/".join(["d" * 200] * 9)
    name += "/" + "e" * (size - len(name) - 1)
    (root / name).parent.mkdir(parents=True)
    (root / name).write_bytes(b"x")
    line = f"1,{hashlib.md5(b'x').hexdigest()},{hashlib.sha256(b'x').hexdigest()},./{name}"
    (root.parent / "known").write_text(f"%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n{line}\n")

    assert (tool(root, "hashdeep", "-r", "-l", "-a", "-k", root.parent / "known", ".") == 0) is (more == 0)


def unpack_bag(run: Run, target: Path) -> Path:
    """The bag's directory, without its payload."""
    (target.parent / "bag").mkdir()
    assert tool(target.parent / "bag", "tar", "-xf", target) == 0

    with tarfile.open(target) as packed:  # another reader finds the same
        assert {Path(name).name for name in packed.getnames()} == {path.name for path in target.parent.glob("bag/*/*")}
    return target.parent / "bag" / f"{run.replica.uuid}-{run.sequence}"


def bag_holds(bag: Path) -> bool:
    """Return whether the package `bagit` finds the bag valid."""

    return tool(bag, sys.executable, "-m", "bagit", "--validate", "--quiet", ".") == 0


def test_a_bag_is_valid(root: Path) -> None:
    """With the root as its payload the bag validates; not with a changed or a further file, or another tag file.

    Names that end in a blank, and percent signs, are left out here: the package reads both otherwise than RFC 8493.
    """
    names = [name for name in NASTY if name not in (b" sp ", b"d/\xff\xfe", "фото/é 100%".encode())]
    run = make_tree(root, [*names, "фото/é".encode()])

    assert export_run(run, "bagit", root.parent / "bag.tar")[0] == 0

    bag = unpack_bag(run, root.parent / "bag.tar")
    root.rename(bag / "data")

    assert bag_holds(bag)
    assert f"Payload-Oxum: {run.bytes}.{run.files}\n" in (bag / "bag-info.txt").read_text()

    (bag / "data/-x").write_bytes(b"-y")
    assert not bag_holds(bag)

    (bag / "data/-x").write_bytes(b"-x")
    (bag / "data/more").write_bytes(b"")

    assert not bag_holds(bag)

    (bag / "data/more").unlink()
    assert bag_holds(bag)

    (bag / "bag-info.txt").write_text("Bagging-Date: 2001-01-01\n")
    assert not bag_holds(bag)


def test_a_bag_of_a_tree_with_dangling_links(root: Path) -> None:
    """The bag says how to copy the payload without what no bag can hold, and validates with that copy."""
    run = make_tree(root, [b"-x", b"d/sub"])
    (root / "to").symlink_to("nowhere")
    (root / "zz").mkdir()
    os.mkfifo(root / "d/fifo")
    assert export_run(run, "bagit", root.parent / "bag.tar")[0] == 0

    bag = unpack_bag(run, root.parent / "bag.tar")
    shutil.copytree(root, bag / "data", symlinks=True, ignore=lambda *_: ["fifo"])
    assert not bag_holds(bag), "the control: with the link in place the bag is not valid"
    shutil.rmtree(bag / "data")

    assert "Copy it without symbolic links and special files" in (bag / "bag-info.txt").read_text()
    shutil.copytree(root, bag / "data", ignore=lambda *_: ["fifo", "to"])
    assert bag_holds(bag)


def test_names_in_a_bag(root: Path) -> None:
    """Percent sign and line ends are percent-encoded and nothing else is; what is no UTF-8 is left out, told twice."""
    run = make_run([file_row("a%\r\n b~é", b"1"), file_row("b\\xff", b"2"), file_row("c\\\\xff", b"3"), error_row("e")])
    code, output = export_run(run, "bagit", root.parent / "bag.tar")

    assert code == 1 and "left out, name that this form cannot say: 1 (b\\xff)\n" in output
    assert "left out, could not be read: 1 (e)\n" in output

    bag = unpack_bag(run, root.parent / "bag.tar")
    md5 = [f"{hashlib.md5(content).hexdigest()}  data/" for content in (b"1", b"3")]

    assert (bag / "manifest-md5.txt").read_text() == f"{md5[0]}a%25%0D%0A b~é\n{md5[1]}c\\xff\n"

    info = (bag / "bag-info.txt").read_text()
    assert "Left-Out: name that this form cannot say: 1 (b\\xff)\n" in info and "Payload-Oxum: 2.2\n" in info


def test_a_table_has_every_entry(root: Path) -> None:
    """CSV has a row for each entry of any type; what a spreadsheet would obey is marked, and the mark comes off."""
    rows = [file_row("'q"), file_row("=1+1"), error_row("e", "EIO", "read"), link_row("l", "-x"), special_row("s")]
    assert export_run(make_run([*rows, file_row("h", detail="=1+1")]), "csv", root.parent / "t.csv") == (0, "")

    table = list(csv.DictReader(io.StringIO((root.parent / "t.csv").read_bytes().decode(), newline="")))
    cells = [[row[name].removeprefix("'") for name in ("path", "type", "hardlink", "said", "stage")] for row in table]

    assert cells == [
        ["'q", "file", "", "", ""],
        ["=1+1", "file", "", "", ""],
        ["e", "error", "", "EIO", "read"],
        ["h", "file", "=1+1", "", ""],
        ["l", "link", "", "-x", ""],
        ["s", "special", "", "fifo", ""],
    ]
    assert table[1]["path"] == "'=1+1" and table[1]["sha256"] == hashlib.sha256(b"content").hexdigest()


def test_json_lines_are_the_records(root: Path) -> None:
    """JSON Lines are the report without its first line, notes included."""
    run = make_tree(root, NASTY)
    assert export_run(run, "jsonl", root.parent / "entries") == (0, "")
    assert (root.parent / "entries").read_bytes() == b"".join(report.export_report(run)).partition(b"\n")[2]


@pytest.mark.parametrize("form", formats.FORMATS)
def test_nothing_is_dropped_silently(root: Path, form: str) -> None:
    """A format writes an entry or counts it as left out: a file, a link, a special file, an error."""
    names = {"a-file": None, "an-error": "could not be read", "a-link": "symbolic link", "a-socket": "special file"}
    run = make_run(
        [file_row("a-file"), error_row("an-error"), link_row("a-link", "a"), special_row("a-socket", "socket")]
    )
    omissions = Omissions()
    written = b"".join(formats.export_run(run, form, omissions))
    counted = {reason.value for reason in omissions.counts}

    dropped = [name for name, reason in names.items() if name.encode() not in written and reason not in counted]
    assert dropped == [], "write such an entry, or hand it to omissions.add_entry"


def test_entries_that_could_not_be_read_are_told(root: Path) -> None:
    """Six errors are counted, five are named, and the exit code says that something is missing."""
    run = make_run([error_row(f"e\x1b{number}") for number in range(6)] + [file_row("a")])
    code, output = export_run(run, "sha256sum", root / "list")
    names = ", ".join(f"e\\x1b{number}" for number in range(5))

    assert (code, output) == (1, f"left out, could not be read: 6 ({names}, …)\n")
    assert (root / "list").read_text().endswith("  a\n")


def test_a_directory_before_each_name(root: Path) -> None:
    """--prefix puts a directory before the names; forms whose names are not free refuse it."""
    run = make_run([file_row("a/b")])
    for prefix, name in (("/srv/photos/", "/srv/photos/a/b"), (".", "./a/b"), ("/", "/a/b"), ("", "a/b")):
        assert export_run(run, "md5sum", root / "list", "--prefix", prefix)[0] == 0
        assert (root / "list").read_text().endswith(f"  {name}\n")

    assert export_run(run, "csv", root / "no", "--prefix", "x")[0] == 2
    assert not (root / "no").exists()


@pytest.mark.parametrize("form", formats.FORMATS)
def test_changed_rows_give_no_file(root: Path, form: str) -> None:
    """Rows that are not what was signed end as an error, and nothing is left that could be taken for a list."""
    run = make_run([file_row("a"), file_row("b")])
    Version.objects.filter(path="b").update(sha256=b"\0" * 32)
    code, output = export_run(run, form, root / "out")

    assert code == 2 and "not what was signed" in output

    Version.objects.filter(path="b").update(size=-1)
    assert export_run(run, form, root / "out")[0] == 2
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("state", [state for state in Run.State if state != Run.State.INGESTED])
def test_only_a_complete_run_has_entries(root: Path, state: Run.State) -> None:
    """A run that is not in the history is refused in one line, and no page offers a form of it."""
    run = make_run([file_row("a")])
    Run.objects.filter(pk=run.pk).update(state=state)
    code, output = export_run(run, "sha256sum", root / "out")

    assert code == 2 and "only a complete run" in output

    run.refresh_from_db()
    assert not formats.available_formats(run)


def test_an_unknown_run_and_a_forbidden_directory(root: Path) -> None:
    """A command that writes nothing ends with 2, and one line says why."""
    run = make_run([file_row("a")])
    with pytest.raises(CommandError, match="no run"):
        call_command("export_run", f"{run.replica.uuid}:7", "--format", "csv")
    assert export_run(run, "csv", root / "nowhere" / "out")[0] == 2


def test_an_import_without_sizes(root: Path) -> None:
    """An unsigned import knows no size: hashdeep's form is refused, all others are given."""

    (root / "old.json").write_bytes(document())
    call_command("import_report", str(root / "old.json"), "--server", "old", stdout=StringIO(), stderr=StringIO())
    worker.ingest_waiting()
    run = Run.objects.select_related("replica").get()

    assert set(formats.FORMATS) - set(formats.available_formats(run)) == {"hashdeep"}
    assert "states sizes" in export_run(run, "hashdeep", root / "out")[1]

    for form in formats.available_formats(run):
        assert b"".join(formats.export_run(run, form, Omissions()))


@pytest.mark.parametrize("name", ["sha256sum", "md5sum", "bsd"])
def test_a_run_without_files_has_no_checksum_list(name: str) -> None:
    """A list without lines would fail its check as a damaged one does; the other formats hold such a run."""
    replica = make_replica()
    run = accept(replica, make_key(replica.server), [link_row("to", "a")])
    worker.ingest_replica(replica.pk)
    run.refresh_from_db()

    assert name not in formats.available_formats(run)
    with pytest.raises(CommandError, match="has no files"):
        call_command("export_run", f"{replica.uuid}:1", "--format", name, stdout=StringIO())
    assert {"csv", "jsonl", "bagit", "hashdeep"} <= set(formats.available_formats(run))


@pytest.mark.parametrize("character", "=+-@\t\r'＝＋－＠")
def test_a_cell_is_no_formula(character: str) -> None:
    """A cell with which a spreadsheet would begin a formula has a mark before it, also in full width."""
    assert escape_formula(f"{character}1+1") == f"'{character}1+1"
