"""The upload of a report: what its headers must be, what its server may, and the receipt."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from scanner.api import responses, throttling
from scanner.api.body import RequestBody, content_digest
from scanner.errors import Refusal, TooLarge, UnsupportedMedia
from scanner.format.envelope import ENVELOPE_LIMIT
from scanner.ingest import accept
from scanner.ingest.gunzip import GZIP, IDENTITY
from scanner.ingest.stream import GZIP_SLACK_BYTES
from scanner.models import Server

REPORT_TYPE = "application/vnd.backup-syncer.report+jsonl"
PATIENCE = 4 << 20
"""Bytes that are still read of a refused upload, so that its sender comes to read the answer."""


def upload(server: Server, request: HttpRequest) -> HttpResponse:
    """Receive the report in this request's body: 201 with its receipt, 200 when it came before. Raises a Refusal."""
    encoding, digest = _encoding(request), content_digest(request)
    most = settings.BACKUP_SYNCER_RECORDS_BYTES + ENVELOPE_LIMIT + GZIP_SLACK_BYTES
    with RequestBody(request) as body:
        if (body.length or 0) > most:
            raise TooLarge(f"No report may be longer than {most} bytes.")
        try:
            throttling.check_upload(server, body.length or 0)
            receipt = accept.receive_report(server, body.read, encoding=encoding, digest=digest)
            body.drain(most)
        except Refusal:
            body.drain(body.size + PATIENCE)  # gunicorn closes a connection on which more than that is left
            raise
        finally:
            throttling.count_bytes(server, body.size)
    run = receipt.run
    return responses.signed(
        "report",
        server,
        status=201 if receipt.new else 200,
        run=str(run.uuid),
        replica=str(run.replica.uuid),
        sequence=run.sequence,
        statement=bytes(run.statement).hex(),
        state=run.state,
    )


def _encoding(request: HttpRequest) -> str:
    if request.content_type != REPORT_TYPE:
        raise UnsupportedMedia(f"The media type of a report is {REPORT_TYPE}.")
    encoding = request.headers.get("Content-Encoding", IDENTITY).strip().lower()
    if encoding not in (GZIP, IDENTITY):
        raise UnsupportedMedia("A report is sent as gzip or identity.")
    return encoding
