"""Format numbers, sizes, durations and times for people, in the language of the page."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

MINUTE = 60
HOUR = 3600
DAY = 86_400
"""In seconds."""
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
    (HOUR, ngettext_lazy("%(n)d hour ago", "%(n)d hours ago", "n")),
    (MINUTE, ngettext_lazy("%(n)d minute ago", "%(n)d minutes ago", "n")),
]
_FUTURE = [
    (365 * DAY, ngettext_lazy("in %(n)d year", "in %(n)d years", "n")),
    (30 * DAY, ngettext_lazy("in %(n)d month", "in %(n)d months", "n")),
    (DAY, ngettext_lazy("in %(n)d day", "in %(n)d days", "n")),
    (HOUR, ngettext_lazy("in %(n)d hour", "in %(n)d hours", "n")),
    (MINUTE, ngettext_lazy("in %(n)d minute", "in %(n)d minutes", "n")),
]


def number(value: int) -> str:
    """Return an integer with its thousands apart."""
    return formats.number_format(value, use_l10n=True, force_grouping=True)


def brief_size(value: int) -> str:
    """Return bytes in the largest binary unit of which there is at least one, with three significant digits."""
    if value < 1024:
        return ngettext("%(n)s byte", "%(n)s bytes", value) % {"n": value}

    amount = value / 1024
    unit = 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount /= 1024
        unit += 1

    # The bounds are those at which rounding gives one digit more.
    if amount >= 99.95:
        decimals = 0
    elif amount >= 9.995:
        decimals = 1
    else:
        decimals = 2
    text = formats.number_format(round(amount, decimals), decimals, use_l10n=True)
    return f"{text}\u00a0{_UNITS[unit]}"


def exact_size(value: int) -> str:
    """Return the exact number of bytes."""
    return ngettext("%(n)s byte", "%(n)s bytes", value) % {"n": number(value)}


def size(value: int) -> SafeString:
    """Return `brief_size` as HTML, with the exact number of bytes in its title."""
    exact = exact_size(value)
    return format_html('<data value="{}" title="{}">{}</data>', value, exact, brief_size(value))


def speed(value: int) -> str:
    """Return bytes a second, as `brief_size` writes them."""
    return _("%(size)s/s") % {"size": brief_size(value)}


def duration(nanoseconds: int) -> str:
    """Return a duration in its two largest units, or in seconds with a fraction when it is short."""
    seconds = nanoseconds / 1e9
    if seconds < 0.95:
        return _("%(n)d ms") % {"n": round(seconds * 1000)}
    if seconds < 9.95:
        return _("%(n)s s") % {"n": formats.number_format(round(seconds, 1), 1, use_l10n=True)}
    return time_span(timedelta(seconds=round(seconds)))


def time_span(span: timedelta) -> str:
    """Return a time span in its two largest units: `1 d 2 h`, `3 min 5 s`."""
    remaining = max(0, round(span.total_seconds()))
    parts: list[str] = []
    for unit, text in ((DAY, _("%(n)d d")), (HOUR, _("%(n)d h")), (MINUTE, _("%(n)d min")), (1, _("%(n)d s"))):
        count, remaining = divmod(remaining, unit)
        if count:
            parts.append(text % {"n": count})
        elif parts:
            break  # the second unit is the one right below the first
    return " ".join(parts[:2]) or _("%(n)d s") % {"n": 0}


def interval(span: timedelta) -> str:
    """Return how often something comes: `every day`, `every 12 hours`."""
    seconds = round(span.total_seconds())
    if seconds == DAY:
        return _("every day")
    if seconds % DAY == 0:
        days = seconds // DAY
        return ngettext("every %(n)d day", "every %(n)d days", days) % {"n": days}

    if seconds == HOUR:
        return _("every hour")
    if seconds % HOUR == 0:
        hours = seconds // HOUR
        return ngettext("every %(n)d hour", "every %(n)d hours", hours) % {"n": hours}
    return _("every %(span)s") % {"span": time_span(span)}


def local_time(value: datetime) -> str:
    """Return a time in the installation's zone, to the minute, in a form that no language reads another way."""
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M")


def time_element(value: datetime | None) -> SafeString | str:
    """Return `local_time` as HTML, with the second and the zone in its title."""
    if value is None:
        return "–"
    return _time_html(value, local_time(value))


def relative_time_element(value: datetime | None) -> SafeString | str:
    """Return `relative_time` as HTML, with the exact time in its title."""
    if value is None:
        return "–"
    return _time_html(value, relative_time(value))


def relative_time(value: datetime, now: datetime | None = None) -> str:
    """Return how far a time is from now, in its largest unit: `3 hours ago`, `in 2 days`, `just now`."""
    seconds = ((now or timezone.now()) - value).total_seconds()
    is_past = seconds >= 0
    for unit, text in _PAST if is_past else _FUTURE:
        if abs(seconds) >= unit:
            return str(text % {"n": int(abs(seconds) // unit)})
    return _("just now") if is_past else _("in a moment")


def percent(part: int, whole: int) -> int:
    """Return `part` in whole percent of `whole`, 0 to 100."""
    if not whole:
        return 0
    return max(0, min(100, part * 100 // whole))


def _time_html(value: datetime, text: str) -> SafeString:
    exact = timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S %Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact, text)
