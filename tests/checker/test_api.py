"""Comparisons for programs."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.checker import stage
from tests.checker.staged_replica import StagedReplica, file
from tests.scanner import factories
from tests.scanner.factories import read_refusal

pytestmark = pytest.mark.django_db(transaction=True)


def test_comparison_for_programs() -> None:
    """A person and the replica's own server get what changed, page by page; others get the shape of refusals."""
    world = StagedReplica()
    first = world.run([file(name, name.encode()) for name in "abc"])
    second = world.run([file(name, name.encode() + b"!") for name in "abc"])
    url = f"/api/v1/comparisons/{first.uuid}/{second.uuid}"
    client = Client()
    assert read_refusal(client.get(url), 401)["error"] == "unauthorised"
    own = {"authorization": f"Bearer {factories.make_bearer(world.replica.server)}"}
    changes = client.get(url + "?limit=2", headers=own).json()
    assert changes["counts"] == {"rewritten": 3} and [change["path"] for change in changes["changes"]] == ["a", "b"]
    rest = client.get(url, {"limit": 2, "after": changes["after"]}, headers=own).json()
    assert [change["path"] for change in rest["changes"]] == ["c"] and rest["after"] == ""
    other = {"authorization": f"Bearer {factories.make_bearer(factories.make_server())}"}
    assert read_refusal(client.get(url, headers=other), 404)
    client.force_login(stage.make_user("viewer"))
    assert client.get(url + "?kind=added").json()["changes"] == []
    for query in ("?kind=nonsense", "?limit=0", "?limit=x", "?after=!"):
        assert read_refusal(client.get(url + query), 400)["error"] == "malformed"
    assert read_refusal(client.get(f"/api/v1/comparisons/{first.uuid}/{first.uuid}"), 404)
    assert read_refusal(client.get("/api/v1/comparisons/x/y"), 404)
    assert read_refusal(client.post(url), 405)
