"""Find the address of the client that sent a request."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the peer's address or, behind a proxy, the address that the proxy saw.

    The proxy appends what it saw as the last part of `X-Forwarded-For`; the parts before it are the client's own claim.
    Where no proxy is expected the whole header is a claim and is ignored.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    if not settings.BACKUP_SYNCER_BEHIND_PROXY:
        return peer

    forwarded_for = str(request.META.get("HTTP_X_FORWARDED_FOR", ""))
    seen_by_proxy = forwarded_for.rsplit(",", 1)[-1].strip()
    try:
        return str(ip_address(seen_by_proxy))
    except ValueError:
        return peer
