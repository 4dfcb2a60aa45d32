"""Show names that came from a server: all of each name, visibly, and never obeyed.

A coded path (`scanner.format.paths`) holds no byte that is not UTF-8, and its backslashes are doubled. Characters that
remain and could disturb a page (line ends, escapes, directions, invisible characters, spaces at the edge of a part)
become escapes of the same kind, so that no two names look alike for want of a visible character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

FOLDED_FROM = 200
"""Names of more characters than this are folded; the whole name unfolds."""
EDGE_LENGTH = 70
"""Characters at its beginning and its end that a folded name shows."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and symbols by their category that leave no ink."""
_EDGE_SPACES = re.compile(r"(?:(?<=/)|\A) +| +(?=/|\Z)|(?<= ) +")


class Piece(NamedTuple):
    """A part of a name as it is shown."""

    text: str
    meaning: str
    """Of an escape: the code point and its name. Empty for plain text."""


def split_visible(text: str) -> list[Piece]:
    """Return the pieces of `text`: plain parts, and each character that would not be seen as an escape."""
    edge_spaces: set[int] = set()
    for match in _EDGE_SPACES.finditer(text):
        edge_spaces.update(range(*match.span()))

    pieces: list[Piece] = []
    plain: list[str] = []
    for position, character in enumerate(text):
        if position not in edge_spaces and not _is_hidden(character):
            plain.append(character)
            continue

        if plain:
            pieces.append(Piece("".join(plain), ""))
            plain = []
        code_point = f"U+{ord(character):04X}"
        pieces.append(Piece(_escape(character), f"{code_point} {unicodedata.name(character, '')}".strip()))

    if plain:
        pieces.append(Piece("".join(plain), ""))
    return pieces


def _is_hidden(character: str) -> bool:
    if " " <= character <= "~":
        return False
    if unicodedata.category(character) in _HIDDEN_CATEGORIES or character in _BLANK_LETTERS:
        return True
    return character.isspace()


def _escape(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]

    code_point = ord(character)
    if code_point < 0x80:
        return f"\\x{code_point:02x}"
    if code_point < 0x10000:
        return f"\\u{code_point:04x}"
    return f"\\U{code_point:08x}"


def display_name(text: str) -> SafeString:
    """Return `text` as HTML in which nothing acts: folded when it is long, its odd characters as marked escapes."""
    if len(text) <= FOLDED_FROM:
        return short_name(text)
    return format_html(
        '<details class="long-name"><summary>{}</summary><bdi class="name">{}</bdi></details>',
        short_name(text),
        _mark_escapes(text),
    )


def short_name(text: str) -> SafeString:
    """Return a name as HTML for a place where the whole name stands nearby: a long one is its two ends."""
    return format_html('<bdi class="name">{}</bdi>', _shorten(text, _mark_escapes))


def short_sentence(text: str) -> SafeString:
    """Return a sentence as HTML. Its names are escaped already, its spaces are spaces. A long one is its two ends."""
    return format_html("<bdi>{}</bdi>", _shorten(text, escape))


def short_text(text: str) -> str:
    """Return the text of `short_sentence` without any markup: for a page's title, and for names within a sentence."""
    if len(text) <= FOLDED_FROM:
        return text
    return f"{text[:EDGE_LENGTH]}{_omission(text)}{text[-EDGE_LENGTH:]}"


def visible_text(text: str) -> str:
    """Return `text` with its odd characters as escapes, without any markup: for titles, labels and messages."""
    return "".join(piece.text for piece in split_visible(text))


def visible_sentence(text: str) -> str:
    """Return a sentence with its odd characters as escapes, without any markup. Its spaces stay spaces.

    A sentence may name a path: the space before its `/` is no part of a name.
    """
    return "".join(_escape(character) if _is_hidden(character) else character for character in text)


def visible_line(line: str) -> str:
    """Return `visible_text` of a line of indented text: the spaces that it begins with stay spaces."""
    content = line.lstrip(" ")
    indent = line[: len(line) - len(content)]
    return indent + visible_text(content)


def base_name(path: str) -> str:
    """Return the last part of a path."""
    return path.rsplit("/", 1)[-1]


def directory_part(path: str) -> str:
    """Return a path without its last part, with the slash at its end; empty for a path of one part."""
    return path[: len(path) - len(base_name(path))]


def _shorten(text: str, render: Callable[[str], SafeString]) -> SafeString:
    if len(text) <= FOLDED_FROM:
        return render(text)

    start = render(text[:EDGE_LENGTH])
    end = render(text[-EDGE_LENGTH:])
    return format_html('{}<span class="fold">{}</span>{}', start, _omission(text), end)


def _omission(text: str) -> str:
    return _(" … %(count)d characters … ") % {"count": len(text) - 2 * EDGE_LENGTH}


def _mark_escapes(text: str) -> SafeString:
    pieces = [_render_piece(piece) for piece in split_visible(text)]
    return format_html_join("", "{}", [(piece,) for piece in pieces])


def _render_piece(piece: Piece) -> SafeString:
    if not piece.meaning:
        return escape(piece.text)
    return format_html('<span class="escape" title="{}">{}</span>', piece.meaning, piece.text)
