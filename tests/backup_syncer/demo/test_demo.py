"""`demo` fills a fresh database with a fleet that shows every page."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from checker.models import Finding, Proof
from scanner.models import Group, Replica, Run, Server

PAGE_LINK = re.compile(r'href="(/(?:groups|servers|replicas|runs|findings)/[^"#]*)"')


@pytest.mark.django_db(transaction=True)
def test_the_demo_shows_every_page_and_is_made_once() -> None:
    """The reports are signed, ingested and proven; damage, moves, a late server and a held mass change are there."""
    output = StringIO()
    call_command("demo", stdout=output, stderr=StringIO())

    assert (Server.objects.count(), Group.objects.count()) == (8, 5)
    assert Run.objects.count() >= 40
    ingested = Run.objects.filter(state=Run.State.INGESTED)
    assert Proof.objects.filter(ok=True).count() == ingested.count()

    kinds = set(Finding.objects.filter(state=Finding.State.OPEN).values_list("kind", flat=True))
    assert {"corrupted", "mass_change", "unreadable", "lost", "mismatch", "removed"} <= kinds
    assert Replica.objects.filter(runs=None).exists()

    name, password = re.findall(r"Login: (\S+) +Password: (\S+)", output.getvalue())[0]
    user = User.objects.get(username=name)
    assert user.check_password(password)
    client = Client()
    client.force_login(user)
    overview = client.get("/").content.decode()
    for words in ("Damaged", "On hold", "too old", "No run has arrived yet", "1 path could not be read"):
        assert words in overview

    pages = set(PAGE_LINK.findall(overview))
    assert len(pages) > 20
    for page in sorted(pages):
        assert client.get(page.replace("&amp;", "&")).status_code == 200, page

    with pytest.raises(CommandError, match="not empty"):
        call_command("demo", stdout=StringIO(), stderr=StringIO())
