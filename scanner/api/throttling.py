"""What one caller may use up, and what all together may leave waiting.

Time is cut into slots; what was used in a slot is one row. An upload is let in while the caller is below its quota,
whatever its size: so a quota that is set too low slows a server down, it does not shut it out.
"""

from __future__ import annotations

import math
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Count, F, Sum
from django.utils import timezone

from scanner.errors import Busy, QuotaExceeded
from scanner.ingest.inbox import report_storage
from scanner.models import Run, Server, Usage

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEEP = timedelta(days=2)
"""How long the rows of past slots stay."""
ENROLMENT_FAILURES = 5
"""Enrolments of one address that may fail in a minute."""
FREE_BYTES = 512 << 20
"""An upload that would leave less than this free on the disk of the reports is not taken."""


def check_upload(server: Server, announced: int) -> None:
    """Raise Quota or Busy when `server` may not upload now, else count it. `announced`: its bytes, 0 if unsaid."""
    most = settings.BACKUP_SYNCER_UPLOADS_PER_HOUR if server.uploads_per_hour is None else server.uploads_per_hour
    most_bytes = settings.BACKUP_SYNCER_UPLOAD_BYTES_PER_DAY if server.bytes_per_day is None else server.bytes_per_day
    if _used(f"bytes:{server.pk}", DAY) >= most_bytes:
        raise QuotaExceeded("This server has uploaded as many bytes today as it may.", retry_after=_left(DAY))
    _check_inbox()
    _check_disk(announced)
    if _use(f"uploads:{server.pk}", HOUR) > most:
        raise QuotaExceeded("This server has uploaded as often in this hour as it may.", retry_after=_left(HOUR))


def count_bytes(server: Server, size: int) -> None:
    """Count `size` bytes that `server` sent, whatever became of them."""
    if size:
        _use(f"bytes:{server.pk}", DAY, size)


def check_enrolment(address: str) -> None:
    """Raise Quota when too many enrolments of this address failed just now."""
    if _used(f"enrolment:{address}", MINUTE) >= ENROLMENT_FAILURES:
        raise QuotaExceeded("Too many failed enrolments.", retry_after=_left(MINUTE))


def count_failed_enrolment(address: str) -> None:
    """Count a failed enrolment of this address."""
    _use(f"enrolment:{address}", MINUTE)


def _check_inbox() -> None:
    waiting = Run.objects.filter(state=Run.State.RECEIVED).aggregate(reports=Count("pk"), bytes=Sum("upload_size"))
    full = waiting["reports"] >= settings.BACKUP_SYNCER_INBOX_REPORTS
    if full or (waiting["bytes"] or 0) >= settings.BACKUP_SYNCER_INBOX_BYTES:
        raise Busy("The inbox is full.", retry_after=min(1800, 30 + waiting["reports"]))


def _check_disk(announced: int) -> None:
    folder = Path(report_storage().location)
    if folder.exists() and shutil.disk_usage(folder).free < FREE_BYTES + announced:
        raise Busy("The disk of the central server is full.", retry_after=1800)


def _slot(length: timedelta) -> datetime:
    now = timezone.now()
    return now - (now - datetime(2000, 1, 1, tzinfo=UTC)) % length


def _left(length: timedelta) -> int:
    """Whole seconds until the slot ends, at least one."""
    return max(1, math.ceil((_slot(length) + length - timezone.now()).total_seconds()))


def _used(subject: str, length: timedelta) -> int:
    return Usage.objects.filter(subject=subject, slot=_slot(length)).values_list("used", flat=True).first() or 0


def _use(subject: str, length: timedelta, amount: int = 1) -> int:
    """Add to what `subject` used in this slot, and return the sum."""
    slot = _slot(length)
    row, new = Usage.objects.get_or_create(subject=subject, slot=slot)
    if new:
        Usage.objects.filter(slot__lt=timezone.now() - KEEP).delete()
    Usage.objects.filter(pk=row.pk).update(used=F("used") + amount)
    return Usage.objects.values_list("used", flat=True).get(pk=row.pk)
