"""Compare the clock of a server with this one.

The collector sends `Date` (RFC 9110, section 6.6.1) with each request. A request without a body is on its way for
seconds at most, so that the difference is the clock's; an upload may take hours, and its date would say nothing.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from django.utils import timezone

from scanner.models import Server

MAX_OFFSET_S = 2**31 - 1
"""What the column holds: 68 years."""


def record_clock(server: Server, date: str) -> None:
    """Save by how many seconds the clock of `server` is ahead, from the `Date` of a request that has no body.

    Nothing is saved where there is no date, or none that can be read: then nothing is known.
    """
    offset = _offset_of(date)
    if offset is None:
        return
    Server.objects.filter(pk=server.pk).update(clock_offset_s=offset, clock_checked_at=timezone.now())


def _offset_of(date: str) -> int | None:
    """Return the seconds that a date is ahead of this clock; negative where it is behind, None without a date."""
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    # RFC 9110 knows no other zone than GMT; `-0000` gives a date without a zone.
    if moment.tzinfo is None:
        return None

    offset = round((moment - timezone.now()).total_seconds())
    return max(-MAX_OFFSET_S, min(MAX_OFFSET_S, offset))
