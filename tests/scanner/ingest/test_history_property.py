"""Any history of any rows: every run comes out of the tables byte for byte, and is proven."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checker.proofs.verifier import RunVerifier
from scanner.db import entries, keyset
from scanner.errors import InvalidPageToken
from scanner.export import report as export
from scanner.format import paths
from scanner.format.canonical_json import canonical_json
from scanner.format.entry_type import EntryType
from scanner.format.records import ERROR_STAGES, SPECIAL_KINDS, Entry, Note, Record
from scanner.ingest import worker
from scanner.models import Run
from tests.scanner.factories import make_key, make_replica, make_report, receive

pytestmark = pytest.mark.django_db(transaction=True)

INT64 = st.integers(-(2**63), 2**63 - 1)
UINT32 = st.integers(0, 2**32 - 1)
NAME = st.one_of(
    st.sampled_from([b"a", b"b", b"a.jpg", b"-x", b"a\nb", b"t\tb", b'"', b"back\\slash", b"\xff\xfe", b"\x7f\x01"]),
    st.binary(min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).map(str.encode),
).filter(lambda name: name not in (b".", b"..") and b"/" not in name and b"\0" not in name)
PATH = st.lists(NAME, min_size=1, max_size=4).map(lambda parts: paths.encode(b"/".join(parts)))
LONG = st.integers(300, 3000).map(lambda size: "/".join(["long" * 50] * (size // 200)) + "/" + "é" * 100)
DIGEST = st.binary(min_size=32, max_size=32)
FILES = st.builds(
    lambda path, size, mtime, mode, uid, gid, digest: Entry(
        path, EntryType.FILE, size, mtime, mode, uid, gid, digest, digest[:16]
    ),
    st.one_of(PATH, LONG),
    st.integers(0, 2**57),
    INT64,
    st.integers(0, 2**31 - 1),
    UINT32,
    UINT32,
    DIGEST,
)
OTHERS = st.one_of(
    st.builds(
        lambda path, stage: Entry(path, EntryType.ERROR, detail="EIO", stage=stage),
        PATH,
        st.sampled_from(sorted(ERROR_STAGES)),
    ),
    st.builds(lambda path, target: Entry(path, EntryType.LINK, detail=target), PATH, PATH),
    st.builds(
        lambda path, kind: Entry(path, EntryType.SPECIAL, detail=kind), PATH, st.sampled_from(sorted(SPECIAL_KINDS))
    ),
)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
MEMBERS: dict[str, st.SearchStrategy[object]] = {
    "against": TEXT,
    "cold": st.booleans(),
    "engines": st.lists(TEXT.filter(bool), max_size=2),
    "reads": st.integers(0, 2**63 - 1),
}
# Always in the order of the format.
DETAIL = st.fixed_dictionaries({}, optional=MEMBERS).map(
    lambda members: canonical_json({key: members[key] for key in MEMBERS if key in members}) if members else ""
)
CLOCK = INT64.map(lambda mtime_ns: canonical_json({"mtime": "back", "mtime_ns": mtime_ns}))
NOTES = st.one_of(
    st.builds(Note, PATH, st.sampled_from(["confirmed", "misread"]), DETAIL),
    st.builds(Note, PATH, st.just("vanished"), st.just("")),
    st.builds(Note, PATH, st.just("clock"), CLOCK),
)
RECORDS = st.lists(st.one_of(FILES, FILES, OTHERS), max_size=12, unique_by=lambda row: row.path)
RUN = st.tuples(RECORDS, st.lists(NOTES, max_size=3, unique_by=lambda note: note[:2]))


@st.composite
def histories(draw: st.DrawFn) -> list[list[Record]]:
    """Runs that share some of their rows with the run before."""
    runs: list[list[Record]] = []
    before: dict[str, Entry] = {}
    for rows, notes in draw(st.lists(RUN, min_size=1, max_size=4)):
        kept = {path: row for path, row in before.items() if draw(st.integers(0, 3))}
        before = kept | {row.path: row for row in rows}
        before = {path: _linked(row, before) for path, row in before.items()}
        runs.append([*before.values(), *notes])

    return runs


def _linked(row: Entry, rows: dict[str, Entry]) -> Entry:
    """Some files are hard links of the first path there is."""
    first = min(rows)
    links = row.type == EntryType.FILE and row.size is not None and row.size % 3 == 0 and first < row.path
    return row._replace(detail=first if links else None) if row.type == EntryType.FILE else row


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories())
def test_every_run_comes_out_as_it_went_in(runs: list[list[Record]]) -> None:
    """Report, tables, report: the same bytes for each run of a history, and verification holds for each."""
    replica = make_replica()
    signer = make_key(replica.server)
    sent = []
    for records in runs:
        report = make_report(replica, signer, records)
        receive(replica.server, report.gzip)
        sent.append(report.data)

    assert worker.ingest_replica(replica.pk) == len(runs)

    inquiry = RunVerifier(replica)
    for run, data in zip(Run.objects.filter(replica=replica).order_by("sequence"), sent, strict=True):
        assert run.state == Run.State.INGESTED, run.reason
        assert b"".join(export.export_report(run)) == data
        verdict = inquiry.verify(run)
        assert verdict.ok, [check for check in verdict.checks if not check.ok]


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), st.integers(1, 3))
def test_pages_together_are_the_whole(runs: list[list[Record]], limit: int) -> None:
    """Lists and trees show every entry of a run exactly once, in order, however small the pages are."""
    replica = make_replica()
    signer = make_key(replica.server)
    for records in runs:
        receive(replica.server, make_report(replica, signer, records).gzip)
    worker.ingest_replica(replica.pk)
    run = Run.objects.filter(replica=replica).order_by("sequence")[len(runs) // 2]
    rows = [record for record in runs[run.sequence - 1] if isinstance(record, Entry)]

    assert pages(run, "path", limit) == sorted(row.path for row in rows)

    by_size = pages(run, "-size", limit)
    sizes = {row.path: -1 if row.size is None else row.size for row in rows}

    assert [sizes[path] for path in by_size] == sorted(sizes.values(), reverse=True)
    assert sorted(by_size) == sorted(sizes)
    assert sorted(tree(run, "", limit)) == sorted(sizes)


def pages(run: Run, order: str, limit: int) -> list[str]:
    """Paths of all pages."""
    paths = []
    after = ""
    while True:
        page = entries.list_entries(run, order=order, after=after, limit=limit)
        paths += [row.path for row in page.rows]
        after = page.after
        if not after:
            return paths


def tree(run: Run, prefix: str, limit: int) -> list[str]:
    """Paths of all entries, directory by directory."""
    paths = []
    after = ""
    while True:
        page = entries.list_children(run, prefix, after, limit)
        for child in page.rows:
            paths += tree(run, child.path, limit) if child.entry is None else [child.entry.path]
        after = page.after
        if not after:
            return paths


@pytest.mark.parametrize(
    "token", ["x", "AAAA", keyset.page_token([1]), keyset.page_token("a\0"), keyset.page_token(2**70), "é"]
)
def test_a_made_up_token_is_refused(token: str) -> None:
    """A token that no page gave is refused, and is no error of the database."""
    run = Run(replica_id=1, sequence=1)
    for order in ("path", "-size"):
        with pytest.raises(InvalidPageToken):
            entries.list_entries(run, order=order, after=token)

    with pytest.raises(InvalidPageToken):
        entries.list_children(run, after=token)
