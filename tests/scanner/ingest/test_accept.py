"""The chain: which statement takes which place, and that it never jams."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.utils import timezone

from scanner.errors import (
    ChainGap,
    ConflictingStatement,
    FinalRefusal,
    Forbidden,
    Incomplete,
    Malformed,
    StaleStatement,
)
from scanner.format.envelope import ENROLMENT_TYPE, REPLY_TYPE
from scanner.format.records import encode_record
from scanner.format.timestamps import format_timestamp
from scanner.format.values import LONGEST_NAME
from scanner.ingest import accept, inbox, journal
from scanner.models import Equivocation, Group, Progress, Replica, Run, Server, ServerKey
from scanner.signals import run_received
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db


@pytest.fixture
def replica() -> Replica:
    return make.make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    return make.make_key(replica.server)


def test_first_report_is_received(replica: Replica, signer: Signer) -> None:
    """The first report becomes run 1: its columns are the statement's, its bytes are kept, the journal has its line."""
    report = make.make_report(
        replica, signer, [make.file_row("a", b"12"), make.link_row("b", "a"), make.error_row("c")]
    )
    receipt = make.receive(replica.server, report.gzip)
    run = Run.objects.get()

    assert receipt == accept.Receipt(run, new=True)
    assert (run.sequence, run.state, run.files, run.bytes, run.errors) == (1, Run.State.RECEIVED, 1, 2, 1)
    assert (bytes(run.envelope or b""), bytes(run.statement).hex()) == (report.line, report.digest)
    assert (run.previous, run.upload_size, run.engine) == (None, len(report.gzip), "hashlib")
    assert b"".join(inbox.record_lines(run)) == report.body
    assert [entry.statement for entry in journal.read_journal(replica)] == [report.digest]
    assert run.journaled_at is not None


def test_next_report_names_the_one_before(replica: Replica, signer: Signer) -> None:
    """Run 2 carries the digest of run 1's statement."""
    first, second = (make.accept(replica, signer, [make.file_row("a")]) for _ in range(2))
    assert (second.sequence, bytes(second.previous or b"")) == (2, bytes(first.statement))


def test_the_same_again_is_the_same(replica: Replica, signer: Signer) -> None:
    """A report that comes twice has one run, one upload, one line in the journal, and the same receipt."""
    report = make.make_report(replica, signer, [make.file_row("a")])
    first, again = (make.receive(replica.server, report.gzip) for _ in range(2))

    assert (first.run, first.new, again.run, again.new) == (again.run, True, first.run, False)
    assert len(journal.read_journal(replica)) == 1
    assert len(list(stored_uploads(replica))) == 1


def test_the_same_again_is_answered_before_its_body_is_read(replica: Replica, signer: Signer) -> None:
    """A report that is known already is recognised by line 1: the bytes behind it are not read."""
    report = make.make_report(replica, signer, [make.file_row(f"f{n:05}") for n in range(2000)])
    make.receive(replica.server, report.data)
    stream = BytesIO(report.data)

    assert not accept.receive_report(replica.server, stream.read).new
    assert stream.tell() < len(report.data) / 4


def test_signal_tells_of_the_run(replica: Replica, signer: Signer) -> None:
    """`run_received` is sent once for each run, after its commit."""
    runs: list[Run] = []

    def listen(run: Run, **_: Any) -> None:
        runs.append(run)

    run_received.connect(listen)
    try:
        run = make.accept(replica, signer)
    finally:
        run_received.disconnect(listen)

    assert runs == [run]


def test_a_gap_says_what_is_expected(replica: Replica, signer: Signer) -> None:
    """A statement that skips a number, or follows another statement, is told number and digest of what must come."""
    first = make.accept(replica, signer)
    expected = {"expected": {"sequence": 2, "previous": bytes(first.statement).hex()}}
    for fields in ({"sequence": 3}, {"previous": "0" * 128}):
        with pytest.raises(ChainGap) as caught:
            make.receive(replica.server, make.make_report(replica, signer, **fields).gzip)
        assert caught.value.extra == expected

    assert Run.objects.count() == 1


def test_a_gap_before_the_first(replica: Replica, signer: Signer) -> None:
    """Before the first report, number 1 without a previous statement is expected."""
    report = make.make_report(replica, signer, sequence=5, previous="0" * 128)
    with pytest.raises(ChainGap) as caught:
        make.receive(replica.server, report.gzip)
    assert caught.value.extra == {"expected": {"sequence": 1, "previous": None}}


def test_a_break_is_kept(replica: Replica, signer: Signer) -> None:
    """A torn chain goes on where the receiver stands, and says why until an operator acknowledges it."""
    make.accept(replica, signer)
    run = make.accept(replica, signer, break_="the spool was lost")
    assert (run.sequence, run.break_reason, run.break_acknowledged_at) == (2, "the spool was lost", None)


def test_another_statement_for_a_place_holds_the_server(replica: Replica, signer: Signer) -> None:
    """Equivocation: both statements are kept, nothing more is taken, until an operator has looked at it."""
    first = make.make_report(replica, signer, [make.file_row("a")])
    other = make.make_report(replica, signer, [make.file_row("b")])
    make.receive(replica.server, first.gzip)

    with pytest.raises(ConflictingStatement):
        make.receive(replica.server, other.gzip)

    evidence = Equivocation.objects.get()
    assert (bytes(evidence.envelope), bytes(evidence.statement).hex()) == (other.line, other.digest)

    for report in (first, make.make_report(replica, signer)):
        with pytest.raises(Forbidden, match="held"):
            make.receive(replica.server, report.gzip)

    accept.release_server(replica.server)

    assert make.accept(replica, signer).sequence == 2
    assert Equivocation.objects.get().resolved_at is not None


def test_an_older_place_equivocates_too(replica: Replica, signer: Signer) -> None:
    """A second statement for any place that is taken holds the server, not only for the newest."""
    other = make.make_report(replica, signer, [make.file_row("b")])
    make.accept(replica, signer)
    make.accept(replica, signer)

    with pytest.raises(ConflictingStatement):
        make.receive(replica.server, other.gzip)
    assert Server.objects.get(pk=replica.server.pk).held_at is not None


def test_a_place_whose_run_is_gone_is_stale(replica: Replica, signer: Signer) -> None:
    """An older statement of which nothing is known here is refused as stale."""
    report = make.make_report(replica, signer)
    gone = make.receive(replica.server, report.gzip).run
    make.accept(replica, signer)
    Run.objects.filter(pk=gone.pk).delete()

    with pytest.raises(StaleStatement):
        make.receive(replica.server, report.gzip)


def test_a_failed_run_is_in_the_chain(replica: Replica, signer: Signer) -> None:
    """A failed run takes its place with its reason; none of its bytes are kept, and the next run goes on."""
    failed = make.accept(replica, signer, outcome="failed")
    assert (failed.state, failed.reason, failed.upload) == (Run.State.FAILED, "the root is missing", "")
    assert not list(stored_uploads(replica))
    assert make.accept(replica, signer).sequence == 2


def test_a_failed_run_with_a_body_is_refused(replica: Replica, signer: Signer) -> None:
    """A failed run announces no records: lines below it are refused, its place is taken."""
    report = make.make_report(replica, signer, outcome="failed")
    with pytest.raises(FinalRefusal) as caught:
        make.receive(replica.server, report.data + encode_record(make.file_row("a")))
    assert caught.value.extra == {"recorded": True, "sequence": 1}


def test_a_refused_run_has_its_place(replica: Replica, signer: Signer) -> None:
    """A body that is not what its statement says is refused for good, again and again alike, and the chain goes on."""
    report = make.make_report(replica, signer, [make.file_row("a")], files=0)
    for _ in range(2):
        with pytest.raises(FinalRefusal) as caught:
            make.receive(replica.server, report.gzip)
        assert caught.value.extra == {"recorded": True, "sequence": 1}

    run = Run.objects.get()

    assert (run.state, run.upload) == (Run.State.REFUSED, "")
    assert "files" in run.reason
    assert len(journal.read_journal(replica)) == 1
    assert not list(stored_uploads(replica))
    assert make.accept(replica, signer, [make.file_row("a")]).sequence == 2


def test_a_file_may_be_tried_again(replica: Replica, signer: Signer) -> None:
    """A bad body of a file records nothing, since a good copy may exist."""
    report = make.make_report(replica, signer, [make.file_row("a")])
    with pytest.raises(FinalRefusal) as caught:
        make.receive(replica.server, report.data[:-9], final=False, digest=None)
    assert caught.value.extra == {"recorded": False, "sequence": None}
    assert make.receive(replica.server, report.data, final=False, digest=None).new


def test_more_records_than_this_server_takes(replica: Replica, signer: Signer, settings: Any) -> None:
    """A report that announces more bytes than BACKUP_SYNCER_RECORDS_BYTES is refused for good without being read."""
    settings.BACKUP_SYNCER_RECORDS_BYTES = 1000
    report = make.make_report(replica, signer, [make.file_row(f"f{n:05}") for n in range(200)])

    with pytest.raises(FinalRefusal, match="more than this central server takes"):
        make.receive(replica.server, report.data)
    assert Run.objects.get().state == Run.State.REFUSED


@pytest.mark.parametrize("kind", [ENROLMENT_TYPE, REPLY_TYPE, "text/plain"])
def test_another_payload_type_is_no_report(replica: Replica, signer: Signer, kind: str) -> None:
    """A statement that is signed for another purpose is no report."""
    line = make.sign_statement(make.make_statement(replica), signer, kind)
    with pytest.raises(Malformed):
        make.receive(replica.server, line)


def test_only_the_servers_own_good_key_signs(replica: Replica, signer: Signer) -> None:
    """An unknown key, another server's, a revoked one, and a known key's name on another's signature are refused."""
    stranger = make.make_signer()
    neighbour = make.make_key(make.make_server())
    report = make.make_report(replica, signer)
    false_name = report.line.replace(signer.keyid.encode(), stranger.keyid.encode())
    lines = [make.make_report(replica, other).line for other in (stranger, neighbour)]
    for line in (*lines, false_name):
        with pytest.raises(Forbidden, match="not signed by a key of this server"):
            make.receive(replica.server, line)

    replica.server.keys.update(revoked_at=timezone.now())

    with pytest.raises(Forbidden):
        make.receive(replica.server, report.gzip)
    assert not Run.objects.exists()


def test_a_newer_key_ends_the_older_ones(replica: Replica, signer: Signer) -> None:
    """A registered key changes nothing before its first report is accepted. From then on the older one is refused."""
    sibling = make.make_replica(server=replica.server, root="/srv/sibling")
    newer = make.make_key(replica.server)
    neighbour = make.make_key(make.make_server())
    make.receive(replica.server, make.make_report(replica, signer).gzip)
    waiting = make.make_report(sibling, signer)

    run = make.receive(replica.server, make.make_report(replica, newer, sequence=2).gzip).run
    ended = ServerKey.objects.get(keyid=signer.keyid)
    assert ended.replaced_by == run.key
    assert ended.revoked_at is not None
    assert list(ServerKey.objects.filter(revoked_at=None).values_list("keyid", flat=True)) == [
        newer.keyid,
        neighbour.keyid,
    ]
    with pytest.raises(Forbidden, match="replaced by a newer one"):
        make.receive(replica.server, waiting.gzip)
    assert make.receive(replica.server, make.make_report(sibling, newer).gzip).new


def test_a_key_that_ends_while_its_report_is_read(replica: Replica, signer: Signer) -> None:
    """A body that arrives slowly is not recorded when the newer key has been used meanwhile."""
    sibling = make.make_replica(server=replica.server, root="/srv/sibling")
    newer = make.make_key(replica.server)
    report = make.make_report(replica, signer, [make.file_row(f"f{n:05}") for n in range(500)])
    read = meanwhile(report.data, lambda: make.receive(replica.server, make.make_report(sibling, newer).data))
    with pytest.raises(Forbidden, match="replaced by a newer one"):
        accept.receive_report(replica.server, read)
    assert not replica.runs.exists()


def test_a_statement_speaks_for_its_own_replica(replica: Replica, signer: Signer) -> None:
    """A good signature over another server, group, replica or root is refused, and nothing of it is kept."""
    other = make.make_replica(root="/srv/other")
    sibling = make.make_replica(server=replica.server, root="/srv/sibling")
    wrong = {
        "server": str(other.server.uuid),
        "group": str(other.group.uuid),
        "replica": str(other.uuid),
        "root": "/srv",
    }
    cases: list[dict[str, Any]] = [{name: value} for name, value in wrong.items()]
    cases += [{"replica": str(sibling.uuid)}, {"replica": str(uuid.uuid4())}, wrong]
    for fields in cases:
        with pytest.raises(Forbidden, match="another server, group, replica or root"):
            make.receive(replica.server, make.make_report(replica, signer, **fields).gzip)

    assert not Run.objects.exists()


def test_an_archived_or_imported_replica_takes_no_report(replica: Replica, signer: Signer) -> None:
    """An archived replica, one of an archived group or of unsigned imports, accepts no upload; a disabled one does."""
    report = make.make_report(replica, signer)
    Group.objects.filter(pk=replica.group_id).update(archived_at=timezone.now())
    with pytest.raises(Forbidden):
        make.receive(replica.server, report.gzip)
    Group.objects.filter(pk=replica.group_id).update(archived_at=None)

    for fields in ({"archived_at": timezone.now()}, {"archived_at": None, "origin": Replica.Origin.UNSIGNED}):
        Replica.objects.filter(pk=replica.pk).update(**fields)
        with pytest.raises(Forbidden):
            make.receive(replica.server, report.gzip)

    Replica.objects.filter(pk=replica.pk).update(origin=Replica.Origin.COLLECTOR, enabled=False)

    assert make.receive(replica.server, report.gzip).new


def test_a_runs_id_is_used_once(replica: Replica, signer: Signer) -> None:
    """Another run's id is refused and takes no place; the next honest report does."""
    first = make.accept(replica, signer)
    with pytest.raises(FinalRefusal) as caught:
        make.receive(replica.server, make.make_report(replica, signer, run=str(first.uuid)).gzip)
    assert caught.value.extra["recorded"] is False
    assert make.accept(replica, signer).sequence == 2


def test_arrival_ends_progress(replica: Replica, signer: Signer) -> None:
    """The row of live progress goes when its run arrives."""
    report = make.make_report(replica, signer)
    now = timezone.now()
    Progress.objects.create(uuid=report.statement.run, replica=replica, started_at=now, updated_at=now, phase="send")
    make.receive(replica.server, report.gzip)

    assert not Progress.objects.exists()


def test_the_operators_release_is_used_once(replica: Replica, signer: Signer) -> None:
    """A complete run that was let through by the operator's release ends it; another run does not."""
    Replica.objects.filter(pk=replica.pk).update(accept_root=True)
    host = make.make_statement(replica).host
    released = host | {"filesystem": {**host["filesystem"], "accepted": "operator"}}
    for fields, left in (
        ({}, True),
        ({"outcome": "failed", "host": released}, True),
        ({"host": host | {"filesystem": {**host["filesystem"], "accepted": "local"}}}, True),
        ({"host": released}, False),
    ):
        make.accept(replica, signer, **fields)
        assert Replica.objects.get(pk=replica.pk).accept_root is left


@pytest.mark.parametrize(("seconds", "skewed"), [(0, False), (200, False), (400, True), (10**9, True)])
def test_a_clock_that_is_off_is_flagged(replica: Replica, signer: Signer, seconds: int, skewed: bool) -> None:
    """A run from the future is taken and flagged; one within five minutes is not worth a word."""
    end = timezone.now().timestamp() + seconds
    run = make.accept(replica, signer, started_at=format_timestamp(end - 9), finished_at=format_timestamp(end))
    run.refresh_from_db()
    assert (run.clock_skew is not None) is skewed


def test_a_clock_that_went_back_is_flagged(replica: Replica, signer: Signer) -> None:
    """A run that ended before it began is taken and flagged, with how far the clock went back at least."""
    end = timezone.now().timestamp() - 999
    run = make.accept(replica, signer, started_at=format_timestamp(end + 60), finished_at=format_timestamp(end))
    run.refresh_from_db()
    assert run.clock_skew == timedelta(seconds=-60)


@pytest.mark.parametrize("text", ["2000-01-01T00:00:00.000000Z", "2199-12-31T23:59:59.999999Z"])
def test_any_time_of_the_format_can_be_stored(replica: Replica, signer: Signer, text: str) -> None:
    """The earliest and the latest time that a statement may name go into the database."""
    make.accept(replica, signer, started_at=text, finished_at=text)


def test_the_name_of_an_engine_may_be_longer_than_its_column(replica: Replica, signer: Signer) -> None:
    """The longest name that the format allows does not keep a run out."""
    engine = {"name": "x" * LONGEST_NAME, "wanted": "auto", "why": "", "tools": []}
    make.accept(replica, signer, engine=engine)
    assert Run.objects.get().engine == "x" * 10


def stored_uploads(replica: Replica) -> list[str]:
    return [name for name in inbox.report_storage().names() if name.startswith(str(replica.uuid))]


def test_content_digest_of_another_body(replica: Replica, signer: Signer) -> None:
    """A body whose bytes are not those of Content-Digest is incomplete: nothing is recorded, the right one is taken."""
    report = make.make_report(replica, signer, [make.file_row("a")])
    damaged = report.data[:-40] + b"0" + report.data[-39:]
    digest = hashlib.sha256(report.data).digest()

    with pytest.raises(Incomplete):
        make.receive(replica.server, damaged, digest=digest)
    assert not Run.objects.exists()
    assert make.receive(replica.server, report.data, digest=digest).new


def meanwhile(data: bytes, act: Callable[[], object]) -> Callable[[int], bytes]:
    """Reads `data`; when half of it is through, `act` happens."""
    stream = BytesIO(data)
    acts = [act]

    def read(size: int) -> bytes:
        if stream.tell() > len(data) // 2 and acts:
            acts.pop()()
        return stream.read(min(size, len(data) // 4))

    return read


def test_the_same_while_it_is_read(replica: Replica, signer: Signer) -> None:
    """A report that comes again while its first upload is read has one run and one file, whoever ends first."""
    report = make.make_report(replica, signer, [make.file_row(f"f{n:05}") for n in range(500)])
    read = meanwhile(report.data, lambda: make.receive(replica.server, report.data))
    receipt = accept.receive_report(replica.server, read)

    assert (receipt.new, receipt.run) == (False, Run.objects.get())
    assert stored_uploads(replica) == [receipt.run.upload]


def test_another_while_it_is_read(replica: Replica, signer: Signer) -> None:
    """Another statement that takes the place meanwhile makes this one an equivocation; its bytes are not kept."""
    report, other = (make.make_report(replica, signer, [make.file_row("a" * 2000)]) for _ in range(2))
    with pytest.raises(ConflictingStatement):
        accept.receive_report(replica.server, meanwhile(report.data, lambda: make.receive(replica.server, other.data)))
    assert stored_uploads(replica) == [Run.objects.get().upload]
    assert bytes(Equivocation.objects.get().envelope) == report.line


def test_held_while_it_is_read(replica: Replica, signer: Signer) -> None:
    """A server that is held meanwhile gets no receipt, and leaves nothing."""
    report = make.make_report(replica, signer, [make.file_row("a" * 2000)])
    hold = Server.objects.filter(pk=replica.server.pk)

    with pytest.raises(Forbidden, match="held"):
        accept.receive_report(replica.server, meanwhile(report.data, lambda: hold.update(held_at=timezone.now())))
    assert (Run.objects.count(), stored_uploads(replica)) == (0, [])


def test_an_id_that_is_taken_while_it_is_read(replica: Replica, signer: Signer) -> None:
    """A run's id that another replica's report takes meanwhile is refused; no place is taken by it."""
    report = make.make_report(replica, signer, [make.file_row("a" * 2000)])
    other = make.make_replica(server=replica.server, root="/srv/other")
    twin = make.make_report(other, signer, run=report.statement.run)

    with pytest.raises(FinalRefusal, match="id") as caught:
        accept.receive_report(replica.server, meanwhile(report.data, lambda: make.receive(other.server, twin.data)))
    assert (caught.value.extra["recorded"], stored_uploads(replica)) == (False, [])
    assert make.accept(replica, signer).sequence == 1
