"""The pictures of the README: the overview of the demo's fleet, as a browser shows it."""

from __future__ import annotations

import struct
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from tests.browser.conftest import Open

IMAGES = Path(__file__).parents[2] / "docs/images"
LANGUAGES = ("en", "ru")
WIDTH = 1280
HEIGHT = 900
MAX_BYTES = 200_000
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_overview_of_the_demo(open_page: Open, pytestconfig: pytest.Config) -> None:
    """The overview fits a small picture. With --write-screenshots it becomes the one that the README shows."""
    call_command("demo", stdout=StringIO(), stderr=StringIO())
    user = User.objects.get(username="demo")

    for language in LANGUAGES:
        page = open_page("/", user, language=language, width=WIDTH)
        page.wait_for_load_state("networkidle")
        picture = page.screenshot()

        assert _size(picture) == (WIDTH, HEIGHT)
        assert len(picture) <= MAX_BYTES
        if pytestconfig.getoption("--write-screenshots"):
            (IMAGES / f"overview-{language}.png").write_bytes(picture)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_readme_has_its_picture(language: str) -> None:
    """The picture in the tree is a PNG of the size that the test above takes."""
    picture = (IMAGES / f"overview-{language}.png").read_bytes()
    assert _size(picture) == (WIDTH, HEIGHT)
    assert len(picture) <= MAX_BYTES


def _size(picture: bytes) -> tuple[int, int]:
    """Return width and height, in pixels, from the header of a PNG (RFC 2083, section 4.1.1)."""
    assert picture.startswith(PNG_SIGNATURE)
    assert picture[12:16] == b"IHDR"
    width, height = struct.unpack(">II", picture[16:24])
    return width, height
