"""Receive an uploaded report: check its headers and the server's quota, and return the receipt."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from scanner.api import throttling
from scanner.api.body import RequestBody, content_digest
from scanner.api.responses import signed_response
from scanner.api.schema import REPORT_TYPE, ReportReply
from scanner.errors import Refusal, TooLarge, UnsupportedMedia
from scanner.format.envelope import ENVELOPE_LIMIT
from scanner.ingest import accept
from scanner.ingest.gunzip import GZIP, IDENTITY
from scanner.ingest.stream import GZIP_SLACK_BYTES
from scanner.models import Server

DRAINED_BYTES = 4 << 20
"""Bytes of a refused upload that are still read, so that its sender comes to read the response."""


def receive_upload(server: Server, request: HttpRequest) -> HttpResponse:
    """Receive the report in a request's body: 201 with its receipt, 200 when it came before. Raise a Refusal."""
    encoding = _content_encoding(request)
    digest = content_digest(request)
    max_bytes = settings.BACKUP_SYNCER_RECORDS_BYTES + ENVELOPE_LIMIT + GZIP_SLACK_BYTES

    with RequestBody(request) as body:
        # A chunked body announces nothing; the stream holds it to the length that its statement signs.
        announced_bytes = body.length or 0
        if announced_bytes > max_bytes:
            raise TooLarge(f"No report may be longer than {max_bytes} bytes.")

        try:
            throttling.check_upload(server, announced_bytes)
            receipt = accept.receive_report(server, body.read, encoding=encoding, digest=digest)
            # A report that came before is recognised by its first line, and the rest of it is still on its way.
            body.drain(max_bytes)
        except Refusal:
            # gunicorn closes a connection on which more than this is left.
            body.drain(body.size + DRAINED_BYTES)
            raise
        finally:
            # Bytes of a refused upload count as well, or a caller could send without end.
            throttling.count_bytes(server, body.size)

    status = 200
    if receipt.new:
        status = 201

    run = receipt.run
    reply = ReportReply(
        run=str(run.uuid),
        replica=str(run.replica.uuid),
        sequence=run.sequence,
        statement=bytes(run.statement).hex(),
        state=run.state,
    )
    return signed_response(reply, server, status)


def _content_encoding(request: HttpRequest) -> str:
    if request.content_type != REPORT_TYPE:
        raise UnsupportedMedia(f"The media type of a report is {REPORT_TYPE}.")

    encoding = request.headers.get("Content-Encoding", IDENTITY).strip().lower()
    if encoding not in (GZIP, IDENTITY):
        raise UnsupportedMedia("A report is sent as gzip or identity.")
    return encoding
