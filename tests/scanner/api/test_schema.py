"""The API's description: it is true, and what is generated from it finds no crack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from scanner.api.schema import REPORT_TYPE
from tests.scanner import factories as make


@schemathesis.serializer(REPORT_TYPE)
def _report(_: Any, value: Any) -> bytes:
    """A generated report is any text."""
    return str(value).encode(errors="surrogatepass")


schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())


@pytest.fixture
def _connection_stays() -> Iterator[None]:
    """Keep the test's own connection, as Django's test client does: the end of a request would close it."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("_connection_stays")
@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.django_db
def test_generated_calls(case: Any) -> None:
    """Calls made from the description, good and bad, with and without a token, are answered as it says."""
    bearer = make.make_bearer(make.make_server())
    # A number such as 7.0 is an integer to JSON Schema and a fault here; the 42nd day of a month fits the pattern.
    case.call_and_validate(headers={"Authorization": f"Bearer {bearer}"}, excluded_checks=[positive_data_acceptance])


def described() -> dict[str, Any]:
    members: dict[str, Any] = json.loads(Client().get("/api/v1/openapi.json").content)
    return members


def test_every_address_is_described() -> None:
    """The description has each operation with its summary, its answers and the one shape of refusals."""
    paths = described()["paths"]
    operations = {(method.upper(), path) for path, methods in paths.items() for method in methods}

    assert operations == {
        ("POST", "/api/v1/enrolment"),
        ("POST", "/api/v1/token"),
        ("GET", "/api/v1/replicas"),
        ("POST", "/api/v1/progress"),
        ("POST", "/api/v1/reports"),
        ("GET", "/api/v1/comparisons/{base}/{run}"),
    }

    for methods in paths.values():
        for operation in methods.values():
            assert operation["description"]
            for status, response in operation["responses"].items():
                assert response["description"], (operation["operationId"], status)
                assert int(status) < 400 or "application/json" in response["content"]


def test_the_upload_is_described() -> None:
    """The streaming upload stands in the same description, with its media type and its headers."""
    upload = described()["paths"]["/api/v1/reports"]["post"]
    assert list(upload["requestBody"]["content"]) == ["application/vnd.backup-syncer.report+jsonl"]
    assert {parameter["name"] for parameter in upload["parameters"]} == {"Content-Digest", "Content-Encoding"}
    assert {"200", "201", "408", "409", "422", "429", "503"} <= set(upload["responses"])
    assert upload["security"]


def test_only_enrolment_needs_no_token() -> None:
    """Every operation but enrolment asks for the bearer token."""
    paths = described()["paths"]
    open_to_all = [
        path for path, methods in paths.items() for operation in methods.values() if not operation.get("security")
    ]
    assert open_to_all == ["/api/v1/enrolment"]
