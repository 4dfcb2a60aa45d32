"""Count what a server or an address uses of its quotas. Time is cut into slots, and the use in a slot is one row."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from django.db.models import F
from django.utils import timezone

from scanner.models import Usage

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KEEP_USAGE = timedelta(days=2)
"""How long the rows of past slots are kept: longer than the longest slot, a day."""
_SLOTS_SINCE = datetime(2000, 1, 1, tzinfo=UTC)


def _slot_start(length: timedelta) -> datetime:
    now = timezone.now()
    return now - (now - _SLOTS_SINCE) % length


def seconds_left(length: timedelta) -> int:
    """Return the whole seconds until the slot ends, at least one."""
    remaining = _slot_start(length) + length - timezone.now()
    return max(1, math.ceil(remaining.total_seconds()))


def used(subject: str, length: timedelta) -> int:
    """Return the use of `subject` in this slot."""
    usage = Usage.objects.filter(subject=subject, slot=_slot_start(length)).first()
    if usage is None:
        return 0
    return usage.used


def add_use(subject: str, length: timedelta, amount: int = 1) -> int:
    """Add to the use of `subject` in this slot, and return the sum."""
    usage, is_new_slot = Usage.objects.get_or_create(subject=subject, slot=_slot_start(length))
    if is_new_slot:
        # Here and not in a task: whatever adds slots also removes the old ones.
        Usage.objects.filter(slot__lt=timezone.now() - KEEP_USAGE).delete()

    # In the database, so that no use is lost when two requests add at once.
    Usage.objects.filter(pk=usage.pk).update(used=F("used") + amount)
    usage.refresh_from_db(fields=["used"])
    return usage.used
