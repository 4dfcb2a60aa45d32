"""Clients that somebody with a role has logged in with."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.checker import stage


def logged_in(role: str) -> Client:
    """Return a client that a new user with this role has logged in with."""
    client = Client()
    client.force_login(stage.make_user(role))
    return client


@pytest.fixture
def viewer() -> Client:
    """Return the client of somebody who may see pages."""
    return logged_in("viewer")


@pytest.fixture
def operator() -> Client:
    """Return the client of somebody who may decide about findings."""
    return logged_in("operator")
