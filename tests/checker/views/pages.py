"""Read pages in tests."""

from __future__ import annotations

import re

from django.test import Client


def get(client: Client, address: str, status: int = 200, *, headers: dict[str, str] | None = None) -> str:
    """Return the text of a page that is answered with this status."""
    response = client.get(address, headers=headers)
    assert response.status_code == status, (address, response.status_code)
    return str(response.content.decode())


def next_page_address(page: str) -> str:
    """Return the query of the link to more rows; empty on the last page."""
    link = re.search(r'class="more">.*?href="([^"]+)"', page, re.DOTALL)
    return link[1].replace("&amp;", "&") if link else ""


def leaf_names(page: str) -> list[str]:
    """Return the last parts of the paths that the rows of a page show."""
    return re.findall(r'class="leaf"><bdi class="name">([^<]+)', page)
