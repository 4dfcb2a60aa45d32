"""Reports that come as files: signed ones take the road of an upload, those of the old form become unsigned runs."""

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

from scanner.errors import Refusal
from scanner.format import signing
from scanner.format.envelope import Envelope, open_envelope
from scanner.format.errors import ReportError, SigningError
from scanner.format.statement import Statement, read_statement
from scanner.ingest import accept, inbox, journal, legacy
from scanner.ingest.gunzip import BodyError
from scanner.ingest.stream import Arrival
from scanner.models import EnrolmentToken, Group, Replica, Run, Server, ServerKey
from scanner.signals import run_received


class ImportFailed(Exception):
    """A file is not taken, for the reason that the message says; nothing of it is stored."""


class Unreadable(ImportFailed):
    """The system does not let the file be read."""


class Operator(NamedTuple):
    """What the operator says of unknown identities. `trust` holds public keys or their ids, 64 hex digits each."""

    trust: Sequence[str] = ()
    server: str = ""
    """Name of the server: for a new one, and of the one that a file in the old form came from."""
    group: str = ""
    """Name for a new group; a file in the old form names its own."""


class Taken(NamedTuple):
    """What came of a file: its run, whether it came for the first time, and the rows that were made for it."""

    run: Run
    new: bool
    made: Sequence[Model] = ()


def take(path: Path, operator: Operator) -> Taken:
    """Take one file, `.jsonl`, its gzip, or the old form; `-` is stdin. Raises ImportFailed."""
    try:
        with _opened(path) as file:
            if legacy.looks_old(_start(file)):
                return Taken(*_take_old(file, operator))
            identity = _server(Arrival(file.read, None).envelope(), operator)
            file.seek(0)
            return Taken(*_receive(identity, file), identity.made)
    except Refusal as error:
        raise ImportFailed(error.detail) from error
    except (ReportError, BodyError, legacy.OldFormError, SigningError) as error:
        raise ImportFailed(f"{error}.") from error
    except PermissionError as error:
        raise Unreadable(
            f"{error.strerror}: the command runs as the user of the system, who must be able to read the file; "
            "import_report - < FILE reads it with the rights of the shell."
        ) from error
    except OSError as error:
        raise Unreadable(f"{error.strerror or error}.") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file, which can be read twice: what comes through a pipe is kept while it is needed."""
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


def _start(file: IO[bytes]) -> bytes:
    """The first plain bytes of a file, whose place stays at its beginning."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    try:
        start = gzip.GzipFile(fileobj=file).read(4096) if packed else file.read(4096)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BodyError("not a gzip file, or a damaged one") from error
    file.seek(0)
    return start


class _Identity(NamedTuple):
    """Rows that a report needs, made for it where they were not there."""

    server: Server
    made: list[Model]


def _receive(identity: _Identity, file: IO[bytes]) -> accept.Receipt:
    """The road of an upload. Of a refused file no identity stays."""
    try:
        return accept.receive(identity.server, file.read, final=False)
    except BaseException:
        with transaction.atomic():
            for row in reversed(identity.made):
                row.delete()
        raise


def _server(line: bytes, operator: Operator) -> _Identity:
    """The server whose key signed this envelope. An unknown key or replica needs the operator's trust."""
    envelope = open_envelope(line)
    key = ServerKey.objects.select_related("server").filter(keyid=envelope.keyid).first()
    public = bytes(key.public) if key else _trusted(envelope, operator)
    if not envelope.verify(public):
        raise ImportFailed(f"The report is not signed by the key {envelope.keyid}.")
    statement = read_statement(envelope.payload)
    if key is not None and Replica.objects.filter(uuid=statement.replica).exists():
        return _Identity(key.server, [])
    if key is not None and not {envelope.keyid, public.hex()} & set(operator.trust):
        raise ImportFailed(f"Replica {statement.replica} is not known; --trust {envelope.keyid} lets it be made.")
    if key is not None and str(key.server.uuid) != statement.server:
        raise ImportFailed("The key is that of another server.")
    if key is None:
        _check_new(statement, operator)
    try:
        with transaction.atomic():
            return _made(statement, public, operator)
    except IntegrityError as error:
        raise ImportFailed("A server or group of that name is there already; give --server or --group.") from error


def _trusted(envelope: Envelope, operator: Operator) -> bytes:
    """The public key that the operator trusts and that the envelope names."""
    for text in operator.trust:
        public = bytes.fromhex(text)
        if signing.keyid(public) == envelope.keyid:
            signing.check_public_key(public)
            return public
    if envelope.keyid in operator.trust:
        raise ImportFailed(
            f"The key {envelope.keyid} is not known here, and a report has its fingerprint alone: give --trust the "
            "public key, which `backup-syncer-collector status --json` tells on its server."
        )
    raise ImportFailed(f"The report is signed by the unknown key {envelope.keyid}; it needs --trust.")


def _check_new(statement: Statement, operator: Operator) -> None:
    """ImportFailed where an unknown key would speak for what is here already.

    Who trusts a key trusts it for what it brings, not for what others have said. A server that came by import may get
    another key when the operator names it; one that was enrolled gets its keys by enrolment alone.
    """
    server = Server.objects.filter(uuid=statement.server).first()
    if server is not None:
        if EnrolmentToken.objects.filter(server=server, used_at__isnull=False).exists() or server.tokens.exists():
            raise ImportFailed(f"The key is unknown, and the server {server.name} gets its keys by enrolment alone.")
        if operator.server != server.name:
            raise ImportFailed(f"The key is unknown, and its server is here already: --server {server.name}?")
    elif Group.objects.filter(uuid=statement.group).exists():
        raise ImportFailed(f"The key is unknown, and group {statement.group} is here already.")
    if Replica.objects.filter(uuid=statement.replica).exclude(server=server).exists():
        raise ImportFailed(f"The key is unknown, and replica {statement.replica} is that of another server.")


def _made(statement: Statement, public: bytes, operator: Operator) -> _Identity:
    """The rows of this statement, those made that were not there."""
    server, new_server = Server.objects.get_or_create(
        uuid=statement.server, defaults={"name": operator.server or f"server {statement.server[:8]}"}
    )
    key, new_key = ServerKey.objects.get_or_create(server=server, keyid=signing.keyid(public), public=public)
    group, new_group = Group.objects.get_or_create(
        uuid=statement.group, defaults={"name": operator.group or f"group {statement.group[:8]}"}
    )
    replica, new_replica = Replica.objects.get_or_create(
        uuid=statement.replica,
        defaults={"server": server, "group": group, "root": statement.root, "enabled": False},
    )
    rows = [(server, new_server), (key, new_key), (group, new_group), (replica, new_replica)]
    return _Identity(server, [row for row, new in rows if new])


def _take_old(file: IO[bytes], operator: Operator) -> accept.Receipt:
    """A run of a replica of the unsigned kind. The file is kept as it is, for ever."""
    if not operator.server:
        raise ImportFailed("A report in the old form does not say where it comes from: give --server NAME.")
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    name = inbox.storage().save(f"unsigned/{secrets.token_hex(16)}.json{'.gz' if packed else ''}", File(file))
    try:
        kept = Run(uuid=uuid.uuid4(), upload=name, upload_size=file.tell())
        with inbox.read_upload(kept) as plain:
            report = legacy.read(legacy.read_all(plain.read))
        receipt = _record(kept, report, operator)
    except BaseException:
        inbox.discard(name)
        raise
    if not receipt.new:
        inbox.discard(name)
        return receipt
    journal.append(receipt.run)
    run_received.send(sender=Run, run=receipt.run)
    return receipt


def _record(run: Run, report: legacy.OldReport, operator: Operator) -> accept.Receipt:
    """Give the run its place behind those of its replica; or the same report's run, which is there already."""
    with transaction.atomic():
        server = Server.objects.get_or_create(name=operator.server)[0]
        group = Group.objects.get_or_create(name=report.group)[0]
        about = {"server": server, "group": group, "root": report.root, "origin": Replica.Origin.UNSIGNED}
        found = Replica.objects.get_or_create(**about, defaults={"enabled": False})[0]
        run.replica = Replica.objects.select_for_update().get(pk=found.pk)
        known = run.replica.runs.filter(statement=report.signature).first()
        if known is not None:
            return accept.Receipt(known, new=False)
        newest = run.replica.runs.order_by("-sequence").first()
        if newest is not None and newest.started_at >= report.started_at:
            raise ImportFailed(f"It is older than run {newest.sequence}: import files in the order of their time.")
        _fill(run, report, newest)
        run.save(force_insert=True)
    return accept.Receipt(run, new=True)


def _fill(run: Run, report: legacy.OldReport, newest: Run | None) -> None:
    sums = legacy.sums(report)
    run.state = Run.State.RECEIVED
    run.sequence, run.previous = (newest.sequence + 1, bytes(newest.statement)) if newest else (1, None)
    run.statement, run.content = report.signature, sums.content
    run.started_at = report.started_at
    run.finished_at = report.started_at + timedelta(microseconds=report.work_time_ns // 1000)
    run.work_time_ns = report.work_time_ns
    run.files, run.bytes, run.errors = sums.files, 0, sums.errors
    run.records_count, run.records_bytes = sums.records.line_count, sums.records.byte_count
    run.records_digest = bytes.fromhex(sums.records.sha3_512)
