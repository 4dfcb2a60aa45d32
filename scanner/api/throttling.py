"""Limit what one caller may use, and what all callers together may leave waiting.

An upload is accepted while the caller is below its quota, whatever the size of the upload: a quota that is set too low
slows a server down and does not shut it out.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings
from django.db.models import Count, Sum

from scanner.errors import Busy, QuotaExceeded
from scanner.ingest.inbox import report_storage
from scanner.models import Run, Server
from scanner.usage import DAY, HOUR, MINUTE, add_use, seconds_left, used

ENROLMENT_FAILURES = 5
"""Enrolments of one address that may fail in a minute."""
FREE_BYTES = 512 << 20
"""An upload that would leave less than this free on the disk of the reports is refused."""


def check_upload(server: Server, announced_bytes: int) -> None:
    """Count an upload of `server`. Raise QuotaExceeded or Busy when it may not upload now.

    `announced_bytes` is 0 when the size is not announced.
    """
    max_uploads = server.uploads_per_hour
    if max_uploads is None:
        max_uploads = settings.BACKUP_SYNCER_UPLOADS_PER_HOUR

    max_bytes = server.bytes_per_day
    if max_bytes is None:
        max_bytes = settings.BACKUP_SYNCER_UPLOAD_BYTES_PER_DAY

    if used(f"bytes:{server.pk}", DAY) >= max_bytes:
        raise QuotaExceeded("This server has uploaded as many bytes today as it may.", retry_after=seconds_left(DAY))

    _check_inbox()
    _check_disk(announced_bytes)

    # Counted last: an upload that is refused for another reason uses up nothing.
    if add_use(f"uploads:{server.pk}", HOUR) > max_uploads:
        raise QuotaExceeded("This server has uploaded as often in this hour as it may.", retry_after=seconds_left(HOUR))


def count_bytes(server: Server, size: int) -> None:
    """Count `size` bytes that `server` sent, whatever became of them."""
    if size:
        add_use(f"bytes:{server.pk}", DAY, size)


def check_enrolment(address: str) -> None:
    """Raise QuotaExceeded when too many enrolments of this address failed just now."""
    if used(f"enrolment:{address}", MINUTE) >= ENROLMENT_FAILURES:
        raise QuotaExceeded("Too many failed enrolments.", retry_after=seconds_left(MINUTE))


def count_failed_enrolment(address: str) -> None:
    """Count a failed enrolment of this address."""
    add_use(f"enrolment:{address}", MINUTE)


def _check_inbox() -> None:
    queued = Run.objects.filter(state=Run.State.RECEIVED).aggregate(reports=Count("pk"), bytes=Sum("upload_size"))
    reports: int = queued["reports"]
    queued_bytes: int = queued["bytes"] or 0
    is_full = reports >= settings.BACKUP_SYNCER_INBOX_REPORTS or queued_bytes >= settings.BACKUP_SYNCER_INBOX_BYTES
    if is_full:
        # About the time that ingest needs, half an hour at most.
        raise Busy("The inbox is full.", retry_after=min(1800, 30 + reports))


def _check_disk(announced_bytes: int) -> None:
    directory = Path(report_storage().location)
    # The storage makes its directory with the first report.
    if directory.exists() and shutil.disk_usage(directory).free < FREE_BYTES + announced_bytes:
        raise Busy("The disk of the central server is full.", retry_after=1800)
