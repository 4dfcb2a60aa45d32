"""The documentation's pages as people with and without a role get them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.checker import stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    """A client that may see pages."""
    client.force_login(stage.make_user("viewer"))
    return client


def test_index_and_page_come_in_the_readers_language(viewer: Client) -> None:
    """The same address gives the page in the language that the browser or the cookie names."""
    for language, title in (("en", "Glossary"), ("ru", "Словарь")):
        response = viewer.get(reverse("docs-page", kwargs={"page": "glossary"}), headers={"accept-language": language})
        assert response.status_code == 200
        assert f"<h1>{title}</h1>" in response.text
        assert f'lang="{language}"' in response.text
    assert "/docs/collector/" in viewer.get(reverse("docs")).text


def test_language_switch_leads_back_to_the_same_page(viewer: Client) -> None:
    """The form in the header carries the page's own address."""
    response = viewer.get("/docs/collector/")
    assert '<input type="hidden" name="next" value="/docs/collector/">' in response.text


def test_main_navigation_links_to_the_documentation(viewer: Client) -> None:
    """Every page has the link."""
    assert f'<a href="{reverse("docs")}"' in viewer.get("/").text


@pytest.mark.parametrize("name", ["nothing", "..", "%2e%2e%2fen%2findex", "index.md", "en%00", "index/../index", "%F0"])
def test_unknown_page_is_not_found(viewer: Client, name: str) -> None:
    """An unknown page name gives 404."""
    assert viewer.get(f"/docs/{name}/").status_code == 404


def test_stranger_is_sent_to_the_login(client: Client) -> None:
    """The documentation follows the rule of all pages: log in first, and have a role."""
    response = client.get("/docs/collector/")
    assert (response.status_code, response["Location"]) == (302, "/login/?next=/docs/collector/")

    client.force_login(User.objects.create_user("nobody"))
    assert client.get("/docs/collector/").status_code == 403


def test_policy_stays_strict(viewer: Client) -> None:
    """The page holds no style and no script of its own."""
    response = viewer.get("/docs/report-format/")
    assert "'unsafe" not in response["Content-Security-Policy"]
    assert " style=" not in response.text
    assert "<style" not in response.text
