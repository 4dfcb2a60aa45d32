"""How a name that came from a server is shown: all of it, visibly, and never obeyed.

A coded path (`scanner.format.paths`) holds no byte that is not UTF-8, and its backslashes are doubled. What is left and
could disturb a page (line ends, escapes, directions, invisible characters, spaces at the edge of a part) becomes an
escape of the same kind, so no two names look alike for want of a visible character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

LONG = 200
"""Characters from which on a name is folded; the whole of it unfolds."""
EDGE = 70
"""Characters of its beginning and its end that a folded name shows."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and symbols by their category that leave no ink."""
_EDGE_SPACE = re.compile(r"(?:(?<=/)|\A) +| +(?=/|\Z)|(?<= ) +")


def visible(text: str) -> list[tuple[str, str]]:
    """The pieces of `text`, each as (what to show, its meaning); a plain piece needs no meaning."""
    spaces = {at for match in _EDGE_SPACE.finditer(text) for at in range(*match.span())}
    pieces: list[tuple[str, str]] = []
    plain: list[str] = []
    for at, char in enumerate(text):
        if at not in spaces and not _is_hidden(char):
            plain.append(char)
            continue
        if plain:
            pieces.append(("".join(plain), ""))
            plain = []
        pieces.append((_escape(char), f"U+{ord(char):04X} {unicodedata.name(char, '')}".strip()))
    if plain:
        pieces.append(("".join(plain), ""))
    return pieces


def _is_hidden(char: str) -> bool:
    if " " <= char <= "~":
        return False
    return unicodedata.category(char) in _HIDDEN or char in _BLANK or (char.isspace() and char != " ")


def _escape(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown(text: str) -> SafeString:
    """`text` as HTML in which nothing acts: folded when it is long, its odd characters as marked escapes."""
    if len(text) <= LONG:
        return brief_shown(text)
    return format_html(
        '<details class="long-name"><summary>{}</summary><bdi class="name">{}</bdi></details>',
        brief_shown(text),
        _marked(text),
    )


def brief_shown(text: str) -> SafeString:
    """`shown` for where the whole stands elsewhere: a long name is its two ends."""
    return format_html('<bdi class="name">{}</bdi>', _brief(text, _marked))


def brief_words(text: str) -> SafeString:
    """A sentence whose names are shown already, so that its spaces are spaces: a long one is its two ends."""
    return format_html("<bdi>{}</bdi>", _brief(text, escape))


def brief_plain(text: str) -> str:
    """`brief_words` without any markup: for a page's title, and for names within a sentence."""
    return text if len(text) <= LONG else f"{text[:EDGE]}{_omitted(text)}{text[-EDGE:]}"


def plain_shown(text: str) -> str:
    """`text` with its odd characters as escapes, without any markup: for titles, labels and messages."""
    return "".join(piece for piece, _meaning in visible(text))


def indented_shown(line: str) -> str:
    """`plain_shown` for a line of a pretty-printed text: the spaces that it begins with stay spaces."""
    rest = line.lstrip(" ")
    return line[: len(line) - len(rest)] + plain_shown(rest)


def last_part(path: str) -> str:
    """The last part of a path."""
    return path.rsplit("/", 1)[-1]


def above(path: str) -> str:
    """What stands before the last part of a path, with its slash; empty for a path of one part."""
    return path[: len(path) - len(last_part(path))]


def _brief(text: str, show: Callable[[str], SafeString]) -> SafeString:
    if len(text) <= LONG:
        return show(text)
    return format_html('{}<span class="fold">{}</span>{}', show(text[:EDGE]), _omitted(text), show(text[-EDGE:]))


def _omitted(text: str) -> str:
    return _(" … %(count)d characters … ") % {"count": len(text) - 2 * EDGE}


def _marked(text: str) -> SafeString:
    return format_html_join(
        "",
        "{}{}{}",
        (
            (piece, "", "")
            if not meaning
            else (format_html('<span class="escape" title="{}">', meaning), piece, SafeString("</span>"))
            for piece, meaning in visible(text)
        ),
    )
