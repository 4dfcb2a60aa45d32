"""The page about the report format is right: its example is real, its vectors and tables are those of the readers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scanner.collector.commands import verify
from scanner.format import excludes, paths, records, statement
from scanner.format.canonical_json import canonical_json
from scanner.format.digests import RecordsDigest
from scanner.format.envelope import ENVELOPE_LIMIT, PAYLOAD_LIMIT
from scanner.format.errors import PathError
from scanner.format.statement import STATEMENT_KEYS
from tests.scanner.format.statements import IDENTIFIED_TOOL, make_engine, make_host, make_statement
from tests.scanner.standalone import PATH as VERIFIER
from tests.scanner.standalone import call, look, verify_report

DOCS = Path(__file__).resolve().parent.parent / "docs"
KIND = b"application/vnd.backup-syncer.run.v1+json"

both = pytest.mark.parametrize("language", ["en", "ru"])


def page(language: str) -> str:
    """Return the text of the page."""
    return (DOCS / language / "report-format.md").read_text(encoding="utf-8")


def blocks(language: str, anchor: str) -> list[str]:
    """Return the fenced blocks of the section with this anchor."""
    _before, _anchor, after = page(language).partition(f'<a id="{anchor}"></a>\n')
    section = after.partition("\n<a id=")[0]
    matches = re.findall(r"(?ms)^```\w*\n(.*?)^```$", section)
    assert matches, anchor
    return matches


def values(first: str) -> dict[str, str]:
    """Return the pairs of a block whose lines are a name, blanks and a value."""
    return dict(re.split(r"\s{2,}", line, maxsplit=1) for line in first.splitlines())


def table(language: str, anchor: str) -> list[list[str]]:
    """Return the code in each cell of the first table of a section, without the table's head."""
    _before, _anchor, after = page(language).partition(f'<a id="{anchor}"></a>\n')
    rows = re.search(r"(?m)(?:^\|.*\n)+", after)
    assert rows, anchor
    lines = rows[0].splitlines()[2:]
    return [re.findall(r"`([^`]+)`", cell) for line in lines for cell in [line.split("|")[1]]]


def pae(payload: bytes) -> bytes:
    """Return what is signed, computed as the page says it."""
    return b" ".join([b"DSSEv1", str(len(KIND)).encode(), KIND, str(len(payload)).encode(), payload])


def first_report(language: str) -> bytes:
    """Return the example's first report, put together from the blocks of the page."""
    (line,) = blocks(language, "example-envelope")[:1]
    (body,) = blocks(language, "example-records")
    return (line + body).encode()


def second_report(language: str) -> bytes:
    """Return the example's second report."""
    _statement, line = blocks(language, "example-failed")
    return line.encode()


@both
def test_example_holds_for_every_reader(language: str, tmp_path: Path) -> None:
    """The two reports of the page hold for the standalone verifier and for the project's own reader."""
    key = values(blocks(language, "example-key")[0])["public"]
    first = tmp_path / "report-1.jsonl"
    second = tmp_path / "report-2.jsonl"
    first.write_bytes(first_report(language))
    second.write_bytes(second_report(language))

    public = bytes.fromhex(key)
    for path in (first, second):
        assert look(path, public) == (0, "")
        keys = {hashlib.sha256(public).hexdigest(): verify.KnownKey(public, "the key")}
        assert verify.verify_report(path, keys).exit_code == 0

    code, output = call("--key", key, first, second)
    assert code == 0
    assert output.replace(f"{tmp_path}/", "") == blocks(language, "signer")[1]


@both
def test_signer_writes_the_example(language: str, tmp_path: Path) -> None:
    """The page's program writes exactly the reports that the page shows."""
    script = tmp_path / "write_report.py"
    script.write_text(blocks(language, "signer")[0], encoding="utf-8")
    subprocess.run([sys.executable, "-I", str(script)], cwd=tmp_path, check=True)
    assert (tmp_path / "report-1.jsonl").read_bytes() == first_report(language)
    assert (tmp_path / "report-2.jsonl").read_bytes() == second_report(language)


@both
def test_every_value_of_the_example(language: str) -> None:
    """Each intermediate value of the page comes out when it is computed from the blocks before it."""
    key = values(blocks(language, "example-key")[0])
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["private"]))
    public = private.public_key().public_bytes_raw()
    assert key["public"] == public.hex()
    assert key["keyid"] == hashlib.sha256(public).hexdigest()

    (body,) = blocks(language, "example-records")
    lines = body.encode().splitlines(keepends=True)
    sums = values(blocks(language, "example-sums")[0])
    assert sums == {
        "count": str(len(lines)),
        "bytes": str(len(body.encode())),
        "sha3_512": hashlib.sha3_512(body.encode()).hexdigest(),
        **{f"block {number}": hashlib.sha256(line).hexdigest() for number, line in enumerate(lines, 1)},
    }

    content, content_digest = blocks(language, "example-content")
    digested = content.replace("\n", "").replace("␀", "\0").encode()
    assert content_digest.strip() == hashlib.sha3_512(digested).hexdigest()

    scope, config = blocks(language, "example-config")[0].splitlines()
    assert config == hashlib.sha3_512(scope.encode()).hexdigest() == excludes.scope_digest(["*.tmp"], False)

    statement, statement_digest = (first.strip() for first in blocks(language, "example-statement"))
    payload = statement.encode()
    assert statement_digest == hashlib.sha3_512(payload).hexdigest()
    members = json.loads(payload)
    assert members["records"]["sha3_512"] == sums["sha3_512"]
    assert members["records"]["blocks"] == [sums[f"block {number}"] for number in range(1, 8)]
    assert members["content"] == content_digest.strip()
    assert members["config"] == config

    start, signed = blocks(language, "example-signature")
    assert pae(payload).startswith(bytes.fromhex(start.replace("\n", " "))) and len(pae(payload)) == 57 + len(payload)
    signature = private.sign(pae(payload))
    assert values(signed) == {"sha256": hashlib.sha256(pae(payload)).hexdigest(), "signature": signature.hex()}

    line, file_digest = blocks(language, "example-envelope")
    envelope = json.loads(line)
    assert base64.b64decode(envelope["payload"]) == payload
    assert envelope["signatures"] == [{"keyid": key["keyid"], "sig": base64.b64encode(signature).decode()}]
    assert file_digest.strip() == hashlib.sha256(first_report(language)).hexdigest()

    failed, failed_line = blocks(language, "example-failed")
    assert base64.b64decode(json.loads(failed_line)["payload"]).decode() == failed.strip()
    assert json.loads(failed)["previous"] == statement_digest
    assert json.loads(failed)["content"] == hashlib.sha3_512().hexdigest() == blocks(language, "failed-runs")[0].strip()


@both
def test_sizes_of_the_example(language: str) -> None:
    """The numbers of bytes that the text names are those of the blocks."""
    sizes = {
        "example-statement": len(blocks(language, "example-statement")[0].strip().encode()),
        "example-signature": len(pae(blocks(language, "example-statement")[0].strip().encode())),
        "example-envelope": len(blocks(language, "example-envelope")[0].encode()),
        "example-failed": len(second_report(language)),
    }
    for anchor, size in sizes.items():
        section = page(language).partition(f'<a id="{anchor}"></a>\n')[2].partition("\n<a id=")[0]
        numbers = re.sub(r"(?<=\d)[, \u00a0](?=\d{3}\b)", "", re.sub(r"(?ms)^```.*?^```$", "", section))
        assert str(size) in re.findall(r"\d+", numbers), (anchor, size)


@both
def test_path_vectors(language: str) -> None:
    """Each name of the page is coded and decoded as the page says."""
    vectors = [re.split(r"\s{2,}", line) for line in blocks(language, "path-vectors")[0].splitlines()]
    assert len(vectors) > 10
    for digits, text in vectors:
        name = bytes.fromhex(digits)
        coded = json.loads(text)
        assert paths.encode(name) == verify_report.encode_name(name) == coded
        assert paths.decode(coded) == verify_report.decode_name(coded) == name
        assert canonical_json(coded) == text
        paths.check(coded)
        verify_report.check_path(coded)


@both
def test_bad_path_vectors(language: str) -> None:
    """Each path that the page calls bad is refused."""
    vectors = [re.split(r"\s+# ", line)[0] for line in blocks(language, "bad-path-vectors")[0].splitlines()]
    assert len(vectors) > 10
    for text in vectors:
        coded = json.loads(text)
        with pytest.raises(PathError):
            paths.check(coded)
        with pytest.raises(verify_report.CheckFailed):
            verify_report.check_path(coded)


@both
def test_blocks_are_cut_as_the_table_says(language: str) -> None:
    """Lines in a block and number of blocks are those of the page, for both implementations."""
    rows = re.findall(r"(?m)^\| `(\d+)` \| `(\d+)` \| `(\d+)` \|$", page(language))
    assert len(rows) > 5
    for count, block_size, number_of_blocks in (map(int, row) for row in rows):
        digest = RecordsDigest(count)
        for _line in range(count if count < 2000 else 0):
            digest.add(b"line\n")
        if count < 2000:
            assert len(digest.finish().blocks) == number_of_blocks
        assert verify_report.block_size(count) == block_size
        assert -(-count // block_size) == number_of_blocks


@both
def test_scope_is_digested_as_the_page_says(language: str) -> None:
    """The text that stands for excludes and options is the one that is digested."""
    text = blocks(language, "config-digest")[0].strip()
    scope = json.loads(text)
    digest = excludes.scope_digest(scope["excludes"], scope["cross_mounts"])
    assert digest == hashlib.sha3_512(text.encode()).hexdigest()


@both
def test_tables_name_what_the_code_knows(language: str) -> None:
    """Members of the statement, its objects, kinds of notes and stages are those of the code."""
    assert [key for keys in table(language, "statement") for key in keys] == STATEMENT_KEYS
    assert {key for keys in table(language, "notes") for key in keys} == records.NOTE_KINDS
    text = page(language)
    for words in (records.ERROR_STAGES, records.SPECIAL_KINDS):
        assert all(f"`{word}`" in text for word in words)
    members = json.loads(make_statement(engine=make_engine(tools=[IDENTIFIED_TOOL]), host=make_host()).payload())
    (tool,) = members["engine"]["tools"]
    described = (members["engine"], tool, members["collector"], members["host"], members["host"]["filesystem"])
    assert all(f"`{key}`" in text for part in described for key in part)


@both
def test_limits_are_those_of_the_code(language: str) -> None:
    """The limits of the page are those of the code."""
    numbers = re.sub(r"(?<=\d)[,\u00a0](?=\d{3}\b)", "", page(language))
    for limit in (ENVELOPE_LIMIT, PAYLOAD_LIMIT, records.LINE_LIMIT):
        assert str(limit) in numbers
    assert verify_report.ENVELOPE_LIMIT == ENVELOPE_LIMIT
    assert verify_report.PAYLOAD_LIMIT == PAYLOAD_LIMIT
    assert verify_report.LINE_LIMIT == records.LINE_LIMIT
    assert verify_report.MOST_BLOCKS == records.MAX_BLOCKS
    for name in ("LONGEST_NAME", "LONGEST_TEXT", "MOST_ITEMS"):
        assert getattr(verify_report, name) == getattr(statement, name)
        assert str(getattr(statement, name)) in numbers


def test_verifier_names_sections_that_exist() -> None:
    """Each section that the standalone verifier names is a heading of the English page."""
    headings = set(re.findall(r"(?m)^#{2,3} (.+)$", page("en")))
    named = re.findall(r"Sections?: ([A-Z][\w ,]*)\.", VERIFIER.read_text(encoding="utf-8"))
    sections = [section for names in named for section in names.split(", ")]
    assert len(sections) > 10
    assert set(sections) <= headings
