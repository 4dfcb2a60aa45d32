"""Import reports that come as files: signed ones like an upload, those in the first format as unsigned runs."""

from __future__ import annotations

import gzip
import secrets
import shutil
import sys
import tempfile
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, NamedTuple

from django.core.files import File
from django.db import IntegrityError, transaction
from django.db.models import Model

from scanner import trust_records
from scanner.errors import BodyError, ImportFailed, LegacyFormatError, Refusal, UnreadableFile
from scanner.format import signing
from scanner.format.envelope import Envelope, open_envelope
from scanner.format.errors import ReportError, SigningError
from scanner.format.statement import Statement, read_statement
from scanner.ingest import accept, inbox, journal, legacy
from scanner.ingest.gunzip import GZIP_MAGIC
from scanner.ingest.stream import ReportStream
from scanner.models import EnrolmentToken, Group, Replica, Run, Server, ServerKey
from scanner.signals import run_received

START_BYTES = 4096
"""Plain bytes that tell the format of a file."""


class ImportOptions(NamedTuple):
    """Statements of the operator on unknown identities. `trust` holds public keys or key ids, 64 hex digits each."""

    trust: Sequence[str] = ()
    server: str = ""
    """Name of the server: for a new one, and of the one that a file in the first format came from."""
    group: str = ""
    """Name for a new group; a file in the first format names its own."""


class ImportedRun(NamedTuple):
    """Result of importing a file: its run, whether it came for the first time, and the rows created for it."""

    run: Run
    new: bool
    created: Sequence[Model] = ()


def import_file(path: Path, options: ImportOptions) -> ImportedRun:
    """Import one file: `.jsonl`, its gzip, or the first format; `-` is stdin. Raise ImportFailed."""
    try:
        with _open_seekable(path) as file:
            if legacy.looks_legacy(_read_start(file)):
                return ImportedRun(*_import_legacy_file(file, options))

            identity = _identify_server(ReportStream(file.read, None).read_envelope(), options)
            file.seek(0)
            return ImportedRun(*_receive_file(identity, file), identity.created)
    except Refusal as error:
        raise ImportFailed(error.detail) from error
    except (ReportError, BodyError, LegacyFormatError, SigningError) as error:
        raise ImportFailed(f"{error}.") from error
    except PermissionError as error:
        raise UnreadableFile(
            f"{error.strerror}: the command runs as the user of the system, who must be able to read the file; "
            "import_report - < FILE reads it with the rights of the shell."
        ) from error
    except OSError as error:
        raise UnreadableFile(f"{error.strerror or error}.") from error


@contextmanager
def _open_seekable(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that can be read twice: the content of a pipe is kept in a temporary file."""
    if str(path) != "-":
        with open(path, "rb") as file:
            yield file
    elif sys.stdin.buffer.seekable():
        yield sys.stdin.buffer
    else:
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.seek(0)
            yield file


def _is_gzip(file: IO[bytes]) -> bool:
    """Return whether a file begins like gzip. Its position is its beginning, before and after."""
    magic = file.read(len(GZIP_MAGIC))
    file.seek(0)
    return magic == GZIP_MAGIC


def _read_start(file: IO[bytes]) -> bytes:
    """Return the first plain bytes of a file. Its position is its beginning, before and after."""
    try:
        if _is_gzip(file):
            start = gzip.GzipFile(fileobj=file).read(START_BYTES)
        else:
            start = file.read(START_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BodyError("not a gzip file, or a damaged one") from error
    file.seek(0)
    return start


class _Identity(NamedTuple):
    """The server of a report, and the rows that were created for the report."""

    server: Server
    created: list[Model]


def _receive_file(identity: _Identity, file: IO[bytes]) -> accept.Receipt:
    """Receive a file like an upload. Delete the rows that were created for it when it is refused."""
    try:
        return accept.receive_report(identity.server, file.read, final=False)
    except BaseException:
        with transaction.atomic():
            # In reverse: a replica refers to its group and server, which are protected while it does.
            for row in reversed(identity.created):
                row.delete()
        raise


def _identify_server(line: bytes, options: ImportOptions) -> _Identity:
    """Return the server whose key signed this envelope. An unknown key or replica needs the operator's trust."""
    envelope = open_envelope(line)
    key = ServerKey.objects.select_related("server").filter(keyid=envelope.keyid).first()
    if key is None:
        public = _trusted_key(envelope, options)
    else:
        public = bytes(key.public)

    # Before the statement is parsed, and before a row is made: only what is signed may cause either.
    if not envelope.verify(public):
        raise ImportFailed(f"The report is not signed by the key {envelope.keyid}.")

    statement = read_statement(envelope.payload)
    if key is None:
        _check_unknown_key(statement, options)
    else:
        if Replica.objects.filter(uuid=statement.replica).exists():
            return _Identity(key.server, [])
        if envelope.keyid not in options.trust and public.hex() not in options.trust:
            raise ImportFailed(f"Replica {statement.replica} is not known; --trust {envelope.keyid} creates it.")
        if str(key.server.uuid) != statement.server:
            raise ImportFailed("The key is that of another server.")

    try:
        with transaction.atomic():
            return _create_rows(statement, public, options)
    except IntegrityError as error:
        raise ImportFailed("A server or group of that name is there already; give --server or --group.") from error


def _trusted_key(envelope: Envelope, options: ImportOptions) -> bytes:
    """Return the public key that the operator trusts and that the envelope names."""
    for text in options.trust:
        public = bytes.fromhex(text)
        if signing.keyid(public) == envelope.keyid:
            signing.check_public_key(public)
            return public

    if envelope.keyid in options.trust:
        raise ImportFailed(
            f"The key {envelope.keyid} is not known here, and a report has its fingerprint alone: give --trust the "
            "public key, which `backup-syncer-collector status --json` prints on its server."
        )
    raise ImportFailed(f"The report is signed by the unknown key {envelope.keyid}; it needs --trust.")


def _check_unknown_key(statement: Statement, options: ImportOptions) -> None:
    """Raise ImportFailed where an unknown key would speak for rows that exist already.

    An operator trusts a key for the data that come with it, not for what others have sent. A server that was created by
    an import may get another key when the operator names it; one that was enrolled gets its keys by enrolment alone.
    """
    server = Server.objects.filter(uuid=statement.server).first()
    if server is not None:
        was_enrolled = EnrolmentToken.objects.filter(server=server, used_at__isnull=False).exists()
        if was_enrolled or server.tokens.exists():
            raise ImportFailed(f"The key is unknown, and the server {server.name} gets its keys by enrolment alone.")
        # Naming the server is the operator's consent: --trust alone gives no known server another key.
        if options.server != server.name:
            raise ImportFailed(f"The key is unknown, and its server is here already: --server {server.name}?")
    elif Group.objects.filter(uuid=statement.group).exists():
        raise ImportFailed(f"The key is unknown, and group {statement.group} is here already.")

    if Replica.objects.filter(uuid=statement.replica).exclude(server=server).exists():
        raise ImportFailed(f"The key is unknown, and replica {statement.replica} is that of another server.")


def _create_rows(statement: Statement, public: bytes, options: ImportOptions) -> _Identity:
    """Return the rows of this statement; create those that do not exist."""
    server, new_server = Server.objects.get_or_create(
        uuid=statement.server, defaults={"name": options.server or f"server {statement.server[:8]}"}
    )
    key, new_key = ServerKey.objects.get_or_create(server=server, keyid=signing.keyid(public), public=public)
    if new_key:
        # It stays when the report is refused: the operator trusts the key, whatever becomes of this file.
        trust_records.append(trust_records.Act.IMPORT, server=server, key=key.keyid)
    group, new_group = Group.objects.get_or_create(
        uuid=statement.group, defaults={"name": options.group or f"group {statement.group[:8]}"}
    )
    replica, new_replica = Replica.objects.get_or_create(
        uuid=statement.replica,
        defaults={"server": server, "group": group, "root": statement.root, "enabled": False},
    )
    rows = [(server, new_server), (key, new_key), (group, new_group), (replica, new_replica)]

    # Only these are deleted again when the report is refused.
    return _Identity(server, [row for row, new in rows if new])


def _import_legacy_file(file: IO[bytes], options: ImportOptions) -> accept.Receipt:
    """Import a report as a run of an unsigned replica. The file itself is kept for ever."""
    if not options.server:
        raise ImportFailed("A report in the old format does not say where it comes from: give --server NAME.")

    suffix = ".json.gz" if _is_gzip(file) else ".json"
    name = inbox.report_storage().save(f"unsigned/{secrets.token_hex(16)}{suffix}", File(file))
    try:
        run = Run(uuid=uuid.uuid4(), upload=name, upload_size=file.tell())
        with inbox.open_upload(run) as plain:
            report = legacy.parse_report(legacy.read_all(plain.read))
        receipt = _record_legacy_run(run, report, options)
    except BaseException:
        inbox.discard_upload(name)
        raise

    if not receipt.new:
        inbox.discard_upload(name)
        return receipt

    # After the commit, as for an upload: the journal holds nothing that the database may still take back.
    journal.append(receipt.run)
    run_received.send(sender=Run, run=receipt.run)
    return receipt


def _record_legacy_run(run: Run, report: legacy.LegacyReport, options: ImportOptions) -> accept.Receipt:
    """Save `run` behind the runs of its replica. Return the recorded run instead when the report came before."""
    with transaction.atomic():
        server, _new = Server.objects.get_or_create(name=options.server)
        group, _new = Group.objects.get_or_create(name=report.group)
        replica, _new = Replica.objects.get_or_create(
            server=server,
            group=group,
            root=report.root,
            origin=Replica.Origin.UNSIGNED,
            defaults={"enabled": False},
        )

        # One run at a time for each replica: its row is the lock.
        run.replica = Replica.objects.select_for_update().get(pk=replica.pk)
        recorded = run.replica.runs.filter(statement=report.signature).first()
        if recorded is not None:
            return accept.Receipt(recorded, new=False)

        newest = run.replica.runs.order_by("-sequence").first()
        # Nothing but the start orders reports of this format: they have no sequence and no digest of the one before.
        if newest is not None and newest.started_at >= report.started_at:
            raise ImportFailed(f"It is older than run {newest.sequence}: import files in the order of their time.")

        _fill_run(run, report, newest)
        run.save(force_insert=True)
        journal.note_acceptance(run)
    return accept.Receipt(run, new=True)


def _fill_run(run: Run, report: legacy.LegacyReport, newest: Run | None) -> None:
    totals = legacy.add_up(report)

    run.state = Run.State.RECEIVED
    run.sequence = 1
    run.previous = None
    if newest is not None:
        run.sequence = newest.sequence + 1
        run.previous = bytes(newest.statement)

    run.statement = report.signature
    run.content = totals.content
    run.started_at = report.started_at
    run.finished_at = report.started_at + timedelta(microseconds=report.work_time_ns // 1000)
    run.work_time_ns = report.work_time_ns
    run.files = totals.files
    run.bytes = 0  # the first format knows no sizes
    run.errors = totals.errors
    run.records_count = totals.records.line_count
    run.records_bytes = totals.records.byte_count
    run.records_digest = bytes.fromhex(totals.records.sha3_512)
