"""Answer odd addresses with 400, and not with an error of the database."""

from __future__ import annotations

import logging

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db

ODD_VALUES = ["a%00b", "%ED%A0%80", "%FF", "9" * 40, "-1"]
PARAMETERS = ["q", "o", "p", "name", "search", "status", "state", "kind", "group", "severity", "after", "were", "below"]


@pytest.fixture
def client() -> Client:
    """Return a client that gets errors as answers, logged in with every right."""
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


def admin_addresses() -> list[str]:
    """Return the addresses of the lists of the admin with each of their filters."""
    addresses = []
    for model, model_admin in admin.site._registry.items():
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        filters = [name for name in model_admin.list_filter if isinstance(name, str)]
        addresses += [f"{address}?{name}=" for name in ["q", "id__exact", *filters]]
        addresses += [f"{address}?{name}__exact=" for name in filters]
    return addresses


def test_odd_parameters(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """No value of a parameter makes a page of ours or of the admin fail; a NUL in the admin is a bad request."""
    caplog.set_level(logging.CRITICAL)
    pages = [f"{page}?{name}=" for page in ("/", "/findings/", "/running/") for name in PARAMETERS]
    for address in admin_addresses():
        assert client.get(f"{address}a%00b").status_code == 400, address
    for address in pages:
        for value in ODD_VALUES:
            assert client.get(address + value, follow=True).status_code < 500, address + value
