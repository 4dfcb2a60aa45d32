"""Numbers, sizes, durations and moments as a person reads them, in the language of the page."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

DAY = 86_400
_UNITS = [
    gettext_lazy("KiB"),
    gettext_lazy("MiB"),
    gettext_lazy("GiB"),
    gettext_lazy("TiB"),
    gettext_lazy("PiB"),
    gettext_lazy("EiB"),
]
# Whole sentences: a language may bend the unit by what stands around it.
_PAST = [
    (365 * DAY, ngettext_lazy("%(n)d year ago", "%(n)d years ago", "n")),
    (30 * DAY, ngettext_lazy("%(n)d month ago", "%(n)d months ago", "n")),
    (DAY, ngettext_lazy("%(n)d day ago", "%(n)d days ago", "n")),
    (3600, ngettext_lazy("%(n)d hour ago", "%(n)d hours ago", "n")),
    (60, ngettext_lazy("%(n)d minute ago", "%(n)d minutes ago", "n")),
]
_FUTURE = [
    (365 * DAY, ngettext_lazy("in %(n)d year", "in %(n)d years", "n")),
    (30 * DAY, ngettext_lazy("in %(n)d month", "in %(n)d months", "n")),
    (DAY, ngettext_lazy("in %(n)d day", "in %(n)d days", "n")),
    (3600, ngettext_lazy("in %(n)d hour", "in %(n)d hours", "n")),
    (60, ngettext_lazy("in %(n)d minute", "in %(n)d minutes", "n")),
]


def number(value: int) -> str:
    """An integer with its thousands apart."""
    return formats.number_format(value, use_l10n=True, force_grouping=True)


def brief_size(value: int) -> str:
    """Bytes in the largest binary unit of which there is at least one, with three digits that count."""
    if value < 1024:
        return ngettext("%(n)s byte", "%(n)s bytes", value) % {"n": value}
    amount, unit = value / 1024, 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    digits = 0 if amount >= 99.95 else 1 if amount >= 9.995 else 2
    return f"{formats.number_format(round(amount, digits), digits, use_l10n=True)}\u00a0{_UNITS[unit]}"


def exact_size(value: int) -> str:
    """The number of bytes, to the last."""
    return ngettext("%(n)s byte", "%(n)s bytes", value) % {"n": number(value)}


def size(value: int) -> SafeString:
    """`brief_size`, which tells the exact number of bytes to who asks."""
    exact = exact_size(value)
    return format_html('<data value="{}" title="{}">{}</data>', value, exact, brief_size(value))


def speed(value: int) -> str:
    """Bytes a second, as `brief_size` has them."""
    return _("%(size)s/s") % {"size": brief_size(value)}


def lasted(nanoseconds: int) -> str:
    """A duration in its two largest units, or in seconds with a fraction when it is short."""
    seconds = nanoseconds / 1e9
    if seconds < 0.95:
        return _("%(n)d ms") % {"n": round(seconds * 1000)}
    if seconds < 9.95:
        return _("%(n)s s") % {"n": formats.number_format(round(seconds, 1), 1, use_l10n=True)}
    return long_span(timedelta(seconds=round(seconds)))


def long_span(span: timedelta) -> str:
    """A time span in its two largest units: `1 d 2 h`, `3 min 5 s`."""
    left, parts = max(0, round(span.total_seconds())), []
    for unit, text in ((DAY, _("%(n)d d")), (3600, _("%(n)d h")), (60, _("%(n)d min")), (1, _("%(n)d s"))):
        count, left = divmod(left, unit)
        if count:
            parts.append(text % {"n": count})
        elif parts:
            break
    return " ".join(parts[:2]) or _("%(n)d s") % {"n": 0}


def every(span: timedelta) -> str:
    """How often something comes: `every day`, `every 12 hours`."""
    seconds = round(span.total_seconds())
    if seconds % DAY == 0:
        days = seconds // DAY
        return _("every day") if days == 1 else ngettext("every %(n)d day", "every %(n)d days", days) % {"n": days}
    if seconds % 3600 == 0:
        hours = seconds // 3600
        return (
            _("every hour") if hours == 1 else ngettext("every %(n)d hour", "every %(n)d hours", hours) % {"n": hours}
        )
    return _("every %(span)s") % {"span": long_span(span)}


def clock(value: datetime) -> str:
    """A moment in the installation's time zone, to the minute; no language reads it another way."""
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M")


def moment(value: datetime | None) -> SafeString | str:
    """`clock` as a time element that tells the second and the zone to who asks."""
    if value is None:
        return "–"
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), _exact(value), clock(value))


def ago(value: datetime | None) -> SafeString | str:
    """How far a moment lies from now, in its largest unit."""
    if value is None:
        return "–"
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), _exact(value), distance(value))


def distance(value: datetime, now: datetime | None = None) -> str:
    """`3 hours ago`, `in 2 days`, `just now`."""
    seconds = ((now or timezone.now()) - value).total_seconds()
    for unit, text in _PAST if seconds >= 0 else _FUTURE:
        if abs(seconds) >= unit:
            return str(text % {"n": int(abs(seconds) // unit)})
    return _("just now") if seconds >= 0 else _("in a moment")


def share(part: int, whole: int) -> int:
    """Whole percent of `whole`, 0 to 100."""
    return max(0, min(100, part * 100 // whole)) if whole else 0


def _exact(value: datetime) -> str:
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S %Z")
