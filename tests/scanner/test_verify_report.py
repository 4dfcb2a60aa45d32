"""The standalone verifier: an implementation of its own that says of every report what the project's own says."""

from __future__ import annotations

import ast
import gzip
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.collector.commands import verify
from scanner.format.envelope import RUN_TYPE, seal_envelope
from scanner.format.records import Note, Record, decode_record, encode_record
from scanner.format.statement import STATEMENT_KEYS
from scanner.models import Replica
from tests.pythons import find_python
from tests.scanner import factories as make
from tests.scanner.api.test_bombs_json import BAD_LINES, BAD_PATHS, BAD_PAYLOADS
from tests.scanner.factories import Report, Signer
from tests.scanner.format.notes import ALLOWED_NOTES, REFUSED_NOTES
from tests.scanner.format.statements import ALLOWED_OBJECTS, REFUSED_OBJECTS
from tests.scanner.standalone import PATH, call, look, verify_report

pytestmark = pytest.mark.django_db

EVIL = 'd/\x01\x1f\x7f\u202e"\\\\ \\xff\n\r\t\b\f/😀'
ROWS: list[Record] = [
    make.file_row("a"),
    make.file_row("a.b", b"", mtime_ns=-(2**63)),
    make.file_row("a/b", detail="a"),
    make.error_row("b", "EIO", "read"),
    make.link_row("c", "../x\\xfe"),
    make.special_row("d"),
    make.file_row(EVIL),
    Note("a", "confirmed", '{"ctime_same":true,"cold":false,"engines":["hashlib","native"],"reads":3}'),
    Note("a", "misread"),
]


@pytest.fixture
def replica() -> Replica:
    return make.make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    return make.make_key(replica.server)


def ours(path: Path, signer: Signer) -> int:
    """The exit code of the collector's `verify`."""
    return verify.verify_report(path, {signer.keyid: verify.KnownKey(signer.public, "the key")}).exit_code


def both(tmp_path: Path, signer: Signer, data: bytes) -> tuple[int, str]:
    """Return code and output of the standalone verifier, after checking that the collector's agrees."""
    path = tmp_path / "report.jsonl"
    path.write_bytes(data)
    code, output = look(path, signer.public)

    assert (code == 0) is (ours(path, signer) == 0), output

    return code, output


def test_it_imports_nothing_of_ours() -> None:
    """The standard library and cryptography are all that it imports; it is read by Python 3.9."""
    tree = ast.parse(PATH.read_text(encoding="utf-8"), feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    tops = {name.split(".")[0] for name in names}

    assert "cryptography" in tops and tops - {"cryptography"} <= sys.stdlib_module_names
    assert not {"importlib", "runpy", "subprocess"} & tops


def test_every_kind_of_line_holds(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Entries and notes of all kinds and odd names hold, plain and packed; so does a failed run."""
    report = make.make_report(replica, signer, ROWS)
    assert both(tmp_path, signer, report.data) == (0, "")

    packed = tmp_path / "report.jsonl.gz"
    packed.write_bytes(report.gzip)

    assert look(packed, signer.public) == (0, "")

    code, output = call("--key", signer.public.hex(), packed)
    assert (code, output.splitlines()[-1]) == (0, "everything holds")
    assert both(tmp_path, signer, make.make_report(replica, signer, outcome="failed").data) == (0, "")


def test_many_lines_hold(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Slices of several lines, the last one shorter, have their digests."""
    for count in (256, 257, 1000):
        report = make.make_report(replica, signer, [make.file_row(f"{number:04}") for number in range(count)])
        assert both(tmp_path, signer, report.data) == (0, "")


def test_without_a_key_nobody_vouches(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Without the key that signed it says whose key it is, that it is not checked, and ends with 2."""
    path = tmp_path / "r.jsonl"
    keys = tmp_path / "keys"
    path.write_bytes(make.make_report(replica, signer, ROWS).data)
    for more in ([], ["--key", make.make_signer().public.hex()]):
        code, output = call(*more, path)
        assert code == 2 and f"NOT CHECKED: the signature, of key {signer.keyid}" in output

    keys.write_text(f"{make.make_signer().public.hex()}\n{signer.public.hex()}\n")

    assert call("--key", keys, path)[0] == 0

    for weak in ("01" + "00" * 31, "ff" * 32, "00" * 31):
        assert call("--key", weak, path)[0] == 2


def test_every_bit(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """A turned bit is found: in each byte of line 1, and every single one of entries and notes."""
    report = make.make_report(replica, signer, [ROWS[2], *ROWS[3:6], ROWS[8]])
    data = bytearray(report.data)
    path = tmp_path / "report.jsonl"
    head = len(report.line)
    for bit in [*(offset * 8 + offset % 8 for offset in range(head)), *range(head * 8, len(data) * 8)]:
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert look(path, signer.public)[0] != 0, bit
        data[bit // 8] ^= 1 << bit % 8


def test_every_bit_of_a_packed_report(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Every bit of a packed report, turned, is found, unless it says nothing: a time stamp in the head, a filling."""
    report = make.make_report(replica, signer, ROWS[:3])
    packed = bytearray(report.gzip)
    path = tmp_path / "report.jsonl.gz"
    for bit in range(0, len(packed) * 8, 11):
        packed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(packed)
        if look(path, signer.public)[0] == 0:
            assert gzip.decompress(packed) == report.data
        packed[bit // 8] ^= 1 << bit % 8


def test_cut_short_anywhere(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """A report that ends too early is found wherever it ends, packed or not; line 1 alone is named as such."""
    report = make.make_report(replica, signer, ROWS)
    for length in [*range(0, len(report.line), 9), *range(len(report.line), len(report.data))]:
        (tmp_path / "cut.jsonl").write_bytes(report.data[:length])
        assert look(tmp_path / "cut.jsonl", signer.public)[0] != 0

    for length in range(0, len(report.gzip), 5):
        (tmp_path / "cut.jsonl.gz").write_bytes(report.gzip[:length])
        assert look(tmp_path / "cut.jsonl.gz", signer.public)[0] != 0

    assert "line 1 alone" in both(tmp_path, signer, report.line)[1]


def test_lines_that_were_moved(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Lines left out, doubled, swapped and added are found, and so is the body of another report."""
    report, other = (make.make_report(replica, signer, map(make.file_row, names)) for names in ("abc", "abd"))
    lines = report.body.splitlines(keepends=True)
    for order in ([1, 2], [0, 1], [0, 1, 1, 2], [1, 0, 2], [0, 2, 1], [0, 1, 2, 0]):
        assert both(tmp_path, signer, report.line + b"".join(lines[index] for index in order))[0] == 1

    assert both(tmp_path, signer, report.line + other.body)[0] == 1
    assert both(tmp_path, signer, other.line + report.body)[0] == 1


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_lines(tmp_path: Path, replica: Replica, signer: Signer, name: str) -> None:
    """A line that is not in its one form is found by its number, whatever the signature says."""
    body = encode_record(make.file_row("A")) + BAD_LINES[name] + b"\n"
    code, output = both(tmp_path, signer, make.make_report_with_body(replica, signer, body).data)
    assert code == 1 and output.startswith("line 3: "), output


def test_notes_are_closed(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Every reader accepts the notes of the format, and no reader accepts another one."""
    outcomes = {}
    for note in (*ALLOWED_NOTES, *REFUSED_NOTES):
        line = f"{note}\n".encode()
        report = make.make_report_with_body(replica, signer, line)
        if note in ALLOWED_NOTES:
            report = make.make_report(replica, signer, [decode_record(line)])
        outcomes[note] = both(tmp_path, signer, report.data)[0]
    assert [note for note in ALLOWED_NOTES if outcomes[note] != 0] == []
    assert [note for note in REFUSED_NOTES if outcomes[note] != 1] == []


@pytest.mark.parametrize("name", BAD_PAYLOADS)
def test_bad_statements(tmp_path: Path, replica: Replica, signer: Signer, name: str) -> None:
    """A statement that is not in its one form is found though its signature holds."""
    payload = BAD_PAYLOADS[name](make.make_report(replica, signer).statement.payload())
    assert both(tmp_path, signer, seal_envelope(RUN_TYPE, payload, signer.sign, signer.keyid))[0] == 1


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths(tmp_path: Path, replica: Replica, signer: Signer, path: str) -> None:
    """A path that is absolute, climbs, or is not in its coded form is found in any kind of line."""
    for row in (make.file_row(path), make.file_row("zz", detail=path), make.link_row(path, "t"), make.error_row(path)):
        code, output = both(tmp_path, signer, make.make_report_with_body(replica, signer, encode_record(row)).data)
        assert code == 1 and output.startswith("line 2: ")


@pytest.mark.parametrize(
    "fields",
    [
        {"files": 1},
        {"bytes_": 1},
        {"errors": 0},
        {"content": "0" * 128},
        {"sequence": 0},
        {"previous": "0" * 128},
        {"reason": "x"},
        {"outcome": "failed"},
        {"reason": "x" * 1001, "outcome": "failed"},
        {"break_": "x" * 1001},
        *REFUSED_OBJECTS,
        {"started_at": "2026-02-30T00:00:00.000000Z"},
        {"root": "/a\\xff\\x41"},
    ],
)
def test_statements_that_do_not_fit(tmp_path: Path, replica: Replica, signer: Signer, fields: dict[str, Any]) -> None:
    """Each sum and each rule of the statement is held against it, though the signature holds."""
    rows = [make.file_row("a"), make.file_row("b"), make.error_row("c"), make.link_row("d", "a")]
    assert both(tmp_path, signer, make.make_report(replica, signer, rows).data)[0] == 0
    assert both(tmp_path, signer, make.make_report(replica, signer, rows, **fields).data)[0] == 1


@pytest.mark.parametrize("fields", ALLOWED_OBJECTS, ids=repr)
def test_statements_that_are_unusual(tmp_path: Path, replica: Replica, signer: Signer, fields: dict[str, Any]) -> None:
    """An unusual statement passes as long as the format allows it."""
    assert both(tmp_path, signer, make.make_report(replica, signer, [make.file_row("a")], **fields).data)[0] == 0


@pytest.mark.parametrize(
    "changes",
    [{"line_count": 3}, {"byte_count": 1}, {"byte_count": 10**6}, {"sha3_512": "0" * 128}, {"blocks": ("0" * 64,) * 2}],
)
def test_records_that_differ(tmp_path: Path, replica: Replica, signer: Signer, changes: dict[str, Any]) -> None:
    """The count, the bytes, the digest and the blocks of the lines are held against the statement."""
    rows = [make.file_row("a"), make.file_row("b")]
    records = make.make_statement(replica, rows).records._replace(**changes)
    if "line_count" in changes:
        records = records._replace(blocks=(*records.blocks, "0" * 64))

    assert both(tmp_path, signer, make.make_report(replica, signer, rows, records=records).data)[0] == 1


def test_another_key_and_another_purpose(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """A signature of another key under this key's name, and one for another purpose, are found."""
    report = make.make_report(replica, signer)
    forged = seal_envelope(RUN_TYPE, report.statement.payload(), make.make_signer().sign, signer.keyid)
    assert "did not sign" in both(tmp_path, signer, forged)[1]
    assert both(tmp_path, signer, make.sign_statement(report.statement, signer, "application/other"))[0] == 1


def chain(replica: Replica, signer: Signer, count: int) -> list[Report]:
    """Reports of which each follows the one before."""
    reports: list[Report] = []
    for number in range(1, count + 1):
        previous = reports[-1].digest if reports else None
        fields = {"sequence": number, "previous": previous, "break_": "the spool was\x1b lost" if number == 3 else None}
        reports.append(make.make_report(replica, signer, [make.file_row(f"f{number}")], **fields))

    return reports


def test_chains(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Runs that follow one another hold in any order of files; gaps, swaps, forks and breaks are named."""
    key = signer.public.hex()
    reports = chain(replica, signer, 4)
    fork = make.make_report(replica, signer, [], sequence=2, previous=reports[0].digest)
    loose = make.make_report(replica, signer, [], sequence=5, previous="0" * 128)
    moved = make.make_report(replica, signer, [], sequence=5, previous=reports[3].digest, root="/other")
    every = [*reports, fork, loose, moved]
    paths = [tmp_path / f"{'dcbagfe'[number]}.jsonl" for number in range(len(every))]
    for path, report in zip(paths, every, strict=True):
        path.write_bytes(report.data)
    code, output = call("--key", key, *paths[:4])

    assert (
        code == 0
        and "begins here with run 1" in output
        and "run 3 began the chain anew: the spool was\\x1b lost" in output
    )
    assert call("--key", key, *paths[2:4])[0] == 0 and call("--key", key, paths[1], paths[0], paths[1])[0] == 0

    for arguments, words in (
        ((paths[0], paths[3]), "runs 2 to 3 are missing"),
        ((*paths[:2], paths[4]), "run 2 has two statements"),
        ((*paths[:4], paths[5]), "run 5 does not follow run 4"),
        ((*paths[:4], paths[6]), "run 5 does not follow run 4"),
    ):
        code, output = call("--key", key, *arguments)
        assert code == 1 and f"WRONG: {words}" in output and output.endswith("something DOES NOT HOLD\n")


def test_errors_of_the_report(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """A file that the report could not read has no digest to compare with: it is listed, and does not count as held."""
    rows = [make.error_row("deep", "EACCES", "list"), make.error_row("file"), make.error_row("gone")]
    report = tmp_path / "r.jsonl"
    tree = tmp_path / "tree"
    report.write_bytes(make.make_report(replica, signer, [*rows, make.special_row("mnt", "mount")]).data)
    for directory in ("deep", "mnt"):
        (tree / directory).mkdir(parents=True)
        (tree / directory / "below").write_bytes(b"")

    (tree / "file").write_bytes(b"")
    code, output = call("--key", signer.public.hex(), "--directory", tree, report)

    assert code == 2 and "WRONG" not in output and "below" not in output

    for path in ("deep", "file"):
        assert f"NOT CHECKED: {path}: the report has no digest of it, only EACCES" in output
    assert "NOT CHECKED: gone: not there" in output


def test_a_directory_without_a_report_that_holds(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Files are not called wrong when there is nothing to compare them with: one line says so."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(b"")
    data = make.make_report(replica, signer, ROWS).data
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(data[:-1])

    for report, outcome in ((empty, 2), (tmp_path / "none.jsonl", 2), (broken, 1)):
        code, output = call("--key", signer.public.hex(), "--directory", tree, report)
        assert code == outcome and f"NOT CHECKED: {tree}: not compared, no report of a complete run holds" in output
        assert "WRONG: file" not in output and "not in the report" not in output


def test_what_cannot_be_looked_at(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """A missing file, an empty directory and a key that is none end with 2; the rest is looked at all the same."""
    report = tmp_path / "r.jsonl"
    directory = tmp_path / "directory"
    report.write_bytes(make.make_report(replica, signer, ROWS).data)
    directory.mkdir()
    code, output = call("--key", signer.public.hex(), tmp_path / "none.jsonl", report)

    assert code == 2 and "No such file" in output and "9 lines: 4 files" in output
    assert call(directory)[0] == call("--key", "x", report)[0] == 2

    (directory / "a\x1b[31m.jsonl").write_bytes(report.read_bytes())
    (directory / ".b.jsonl.part").write_bytes(b"half")
    code, output = call("--key", signer.public.hex(), directory)

    assert code == 0 and "a\\x1b[31m.jsonl" in output and "\x1b" not in output


def test_on_the_oldest_python(tmp_path: Path, replica: Replica, signer: Signer) -> None:
    """Python 3.9 runs it; without the package cryptography it says that no signature can be checked."""
    old = find_python("3.9")
    if old is None:
        pytest.skip("Python 3.9 is not installed")
    path = tmp_path / "r.jsonl"
    path.write_bytes(make.make_report(replica, signer, ROWS).data)
    code, output = call(path, python=old)

    assert code == 2 and "9 lines: 4 files" in output and "NOT CHECKED: the signature" in output

    code, output = call("--key", signer.public.hex(), path, python=old)
    assert code == 0 or (code == 2 and "No module named 'cryptography'" in output)


def test_its_names_are_those_of_the_format() -> None:
    """Its statement has the keys of the format, in their order."""
    assert list(verify_report.STATEMENT_MEMBERS) == STATEMENT_KEYS
