"""Names that came from a server, as pages show them."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from scanner.format import paths
from scanner.formatting.names import (
    FOLDED_FROM,
    base_name,
    directory_part,
    display_name,
    short_sentence,
    visible_line,
    visible_text,
)

NASTY = {
    "a\nb": "a\\nb",
    "a\r\nb\tc": "a\\r\\nb\\tc",
    "\x1b[31mred": "\\x1b[31mred",
    "invoice\u202egpj.exe": "invoice\\u202egpj.exe",
    "zero\u200bwidth": "zero\\u200bwidth",
    "line\u2028sep": "line\\u2028sep",
    "no\u00a0break": "no\\u00a0break",
    "hangul\u3164filler": "hangul\\u3164filler",
    "tag\U000e0041": "tag\\U000e0041",
    "soft\u00adhyphen": "soft\\u00adhyphen",
    " lead/trail ": "\\x20lead/trail\\x20",
    "two  spaces": "two \\x20spaces",
    "del\x7f": "del\\x7f",
    "byte\\xff": "byte\\xff",
    "Ёлка/写真/😀.jpg": "Ёлка/写真/😀.jpg",
}


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_odd_characters_become_visible_escapes(name: str) -> None:
    """Line ends, escapes, directions, invisible characters and edge spaces show; ordinary scripts stay as they are."""
    assert visible_text(name) == NASTY[name]


@given(st.text())
def test_nothing_that_acts_is_left(text: str) -> None:
    """The visible text of any name holds no control, format or separator character."""
    categories = {unicodedata.category(char) for char in visible_text(text)}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.binary(min_size=1, max_size=40), st.binary(min_size=1, max_size=40))
def test_two_names_never_look_alike(first: bytes, second: bytes) -> None:
    """Names that differ in a byte are shown as different texts."""
    if first != second:
        assert visible_text(paths.encode(first)) != visible_text(paths.encode(second))


def test_markup_is_text() -> None:
    """A name that is HTML is shown as its characters, in the list and in an attribute."""
    evil = "<script>alert(1)</script>\"'&amp;<img src=x onerror=x>"
    page = Template('{% load names %}<p title="{{ n|visible_text }}">{{ n|display_name }}</p>').render(
        Context({"n": evil})
    )

    assert "<script" not in page and "<img" not in page
    assert html.unescape(re.sub(r"<[^>]*>", "", page)).count("alert(1)") == 1


def test_an_escape_says_which_character_it_is() -> None:
    """The mark of an escape names the character for who does not know its number."""
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in display_name("a\u202eb")


def test_a_long_name_is_folded_and_whole() -> None:
    """A name of 4,000 characters shows its ends, and all of it when it is unfolded."""
    name = "/".join(["d" * 250] * 16)
    page = display_name(name)
    assert page.startswith("<details") and name in page and len(page) < len(name) + 1000
    assert "<details" not in display_name("x" * FOLDED_FROM)


def test_the_parts_of_a_path() -> None:
    """A path falls into what is above and its last part."""
    assert (directory_part("a/b/c"), base_name("a/b/c")) == ("a/b/", "c")
    assert (directory_part("c"), base_name("c")) == ("", "c")


def test_indentation_stays() -> None:
    """The spaces that a line begins with are those of its indentation; all else is escaped."""
    assert visible_line('    "a": "x  y\u202e"') == '    "a": "x \\x20y\\u202e"'


def test_a_sentence_keeps_its_spaces() -> None:
    """A sentence about names that are escaped already is escaped for HTML, and its spaces are spaces."""
    assert short_sentence("below 2020/ are <missing>") == "<bdi>below 2020/ are &lt;missing&gt;</bdi>"
    assert "… 300 characters …" in short_sentence("x" * 440)
