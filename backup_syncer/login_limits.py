"""Slow down who guesses passwords: of one name, of many names from one address, and of everybody together.

django-axes counts wrong passwords and blocks a name from an address. It leaves room for a guess at each of many names,
and for guesses from many addresses.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.db.models import Q, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from backup_syncer.client_address import client_address

KNOWN_ADDRESS_DAYS = 30
"""An address from which somebody logged in within this time is let in whatever other addresses do."""
_IPV6_NETWORK_BITS = 64
"""A provider gives a customer at least that many addresses of IPv6: they count as one."""


class LoginLimits(AxesDatabaseHandler):  # type: ignore[misc]  # django-axes has no types
    """Blocks further logins from an address, or from addresses that nobody knows, after too many wrong passwords."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, object] | None = None) -> bool:
        """Return whether a login is refused without a look at the password."""
        if super().is_locked(request, credentials):
            return True
        if not self._is_address_locked(request):
            return False

        # The middleware answers with the page of a blocked login; for its own limit django-axes says so itself.
        request.axes_locked_out = True  # type: ignore[attr-defined]  # django-axes sets it
        return True

    def _is_address_locked(self, request: HttpRequest) -> bool:
        now = timezone.now()
        failures = AccessAttempt.objects.filter(attempt_time__gt=now - settings.AXES_COOLOFF_TIME)
        network = _network_condition(client_address(request))
        if _count(failures.filter(network)) >= settings.BACKUP_SYNCER_LOGIN_FAILURES_PER_ADDRESS:
            return True
        if _count(failures) < settings.BACKUP_SYNCER_LOGIN_FAILURES_IN_ALL:
            return False
        # Guesses from everywhere must not keep the administrators out.
        return not _is_known(network, now)


def _network_condition(address: str) -> Q:
    """Return the condition on rows of the network that an address stands for."""
    try:
        parsed = ip_address(address)
    except ValueError:
        # A UNIX socket has no address: all its clients count as one.
        return Q(ip_address=None)
    if parsed.version == 4:
        return Q(ip_address=address)

    network = ip_network((parsed, _IPV6_NETWORK_BITS), strict=False)
    return Q(ip_address__gte=str(network[0]), ip_address__lte=str(network[-1]))


def _count(failures: QuerySet[AccessAttempt]) -> int:
    return int(failures.aggregate(number=Sum("failures_since_start"))["number"] or 0)


def _is_known(network: Q, now: datetime) -> bool:
    since = now - timedelta(days=KNOWN_ADDRESS_DAYS)
    is_known: bool = AccessLog.objects.filter(network, attempt_time__gt=since).exists()
    return is_known
