"""Scopes: excludes and options are found by their digest once they were handed out."""

from __future__ import annotations

import pytest
from django.test import Client

from scanner import scopes
from scanner.format.excludes import parse_excludes, scope_digest
from scanner.models import Scope
from tests.scanner import factories as make

pytestmark = pytest.mark.django_db


def digest(excludes: str, cross_mounts: bool) -> bytes:
    """The `config` of a statement, as a collector makes it of what it was told."""
    return bytes.fromhex(scope_digest(parse_excludes(excludes).patterns, cross_mounts))


def test_what_is_handed_out_is_kept() -> None:
    """Each scope that a collector is told is found by its digest, also after the group has another one; once each."""
    group = make.make_group("photos", excludes="# old\n*.tmp\n\ncache/")
    bearer = make.make_bearer(make.make_replica(group=group).server)
    handed_out = [(group.excludes, False), ("*.bak", False), ("*.bak", True)]
    for group.excludes, group.cross_mounts in handed_out:
        group.save()
        for _ in range(2):
            answer = Client().get("/api/v1/replicas", headers={"authorization": f"Bearer {bearer}"})
            assert answer.status_code == 200

    for excludes, cross_mounts in handed_out:
        scope = scopes.find_scope(digest(excludes, cross_mounts))
        assert scope is not None and (scope.excludes, scope.cross_mounts) == (excludes, cross_mounts)

    assert Scope.objects.count() == 3


def test_what_nobody_was_told() -> None:
    """A digest that was never handed out is not known, and excludes that nobody can read have none."""
    scopes.record_scope(make.make_group("broken", excludes="["))
    assert not Scope.objects.exists() and scopes.find_scope(digest("*.tmp", False)) is None
