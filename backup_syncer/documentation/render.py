"""Turn a page of the documentation into HTML with a table of contents.

The same files are read on code hosting sites, so they are plain CommonMark with tables. Three things differ here: links
between pages lead to the served pages, links to other files of the project become text, and `<a id="…"></a>` on a line
of its own gives the next heading its address. All other HTML is escaped.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.anchors import anchors_plugin

from backup_syncer.bundled import bundled

INDEX = "index"
SOURCE_LANGUAGE = "en"
"""Language in which every page exists; it stands in for a page that the reader's language lacks."""

EXPLICIT_ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')
PAGE_LINK = re.compile(r"(?:\.\./[a-z]{2}/)?([\w-]+)\.md")
"""Path of a link to another page, in the same language or in another one."""
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A heading in the table of contents, with the headings one level below it."""

    anchor: str
    title: str
    subsections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class PageLink:
    """A page in the list of pages."""

    name: str
    title: str
    address: str


@dataclass(frozen=True)
class DocumentationPage:
    """A rendered page. `language` is that of the text, which may differ from the reader's."""

    name: str
    language: str
    title: str
    html: SafeString
    sections: tuple[Section, ...]


def load_page(name: str, language: str) -> DocumentationPage | None:
    """Return the page `name` in `language`, in English where there is no translation, or None if there is no page."""
    path = _find_file(name, language)
    if path is None:
        return None

    return _render(path, path.stat().st_mtime_ns)


def list_pages(language: str) -> list[PageLink]:
    """Return all pages with their titles: the index, the pages that it names in that order, then the others."""
    index = _find_file(INDEX, language)
    linked_names: list[str] = []
    if index is not None:
        linked_names = PAGE_LINK.findall(index.read_text(encoding="utf-8"))
    existing_names = sorted(path.stem for path in (bundled("docs") / SOURCE_LANGUAGE).glob("*.md"))

    links = []
    # dict.fromkeys() keeps the first place of each name.
    for name in dict.fromkeys([INDEX, *linked_names, *existing_names]):
        path = _find_file(name, language)
        if path is not None:
            title = _read_title(path, path.stat().st_mtime_ns)
            links.append(PageLink(name, title, page_address(name)))
    return links


def page_address(name: str) -> str:
    """Return the address at which the application serves a page."""
    if name == INDEX:
        return reverse("docs")

    return reverse("docs-page", kwargs={"page": name})


def _find_file(name: str, language: str) -> Path | None:
    """Return the file of a page. A name that is no file of the directory finds nothing, whatever it contains."""
    # The name from the address is compared with files that exist and never becomes a part of a path.
    for directory in (bundled("docs") / language, bundled("docs") / SOURCE_LANGUAGE):
        for path in directory.glob("*.md"):
            if path.stem == name:
                return path
    return None


@lru_cache(maxsize=64)
def _read_title(path: Path, _mtime_ns: int) -> str:
    match = TITLE.search(path.read_text(encoding="utf-8"))
    if match is None:
        return path.stem
    return match[1]


@lru_cache(maxsize=64)
def _render(path: Path, mtime_ns: int) -> DocumentationPage:
    """Render a file. `mtime_ns` is part of the cache's key, so that an edited file is rendered again."""
    markdown = _markdown()
    tokens = markdown.parse(path.read_text(encoding="utf-8"))
    for token in tokens:
        if token.type == "inline":
            token.children = _rewrite_links(token.children or [], path)
        elif token.type in ("th_open", "td_open"):
            _replace_style(token)
            if token.type == "th_open":
                token.attrSet("scope", "col")  # Markdown has heads of columns alone

    html = markdown.renderer.render(tokens, markdown.options, {})
    return DocumentationPage(
        name=path.stem,
        language=path.parent.name,
        title=_read_title(path, mtime_ns),
        html=mark_safe(html),  # noqa: S308 - the files are the project's own, and their HTML was escaped
        sections=_sections(tokens),
    )


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.core.ruler.push("explicit_anchors", _apply_explicit_anchors)
    # After the rule above: the plugin keeps the ids that headings have already and avoids them for the others.
    markdown.use(anchors_plugin, min_level=2, max_level=3)
    markdown.add_render_rule("image", _render_image)
    markdown.add_render_rule("table_open", _render_table_open)
    markdown.add_render_rule("table_close", _render_table_close)
    return markdown


def _apply_explicit_anchors(state: StateCore) -> None:
    """Give each heading the id of the anchor paragraph before it, and remove that paragraph."""
    tokens: list[Token] = []
    anchor = None
    for token in state.tokens:
        if token.type == "heading_open" and anchor is not None:
            del tokens[-3:]  # the paragraph's opening, content and closing
            token.attrSet("id", anchor)

        if token.type == "inline":
            match = EXPLICIT_ANCHOR.fullmatch(token.content)
            anchor = None
            if match is not None:
                anchor = match[1]
        elif token.type != "paragraph_close":
            anchor = None
        tokens.append(token)
    state.tokens = tokens


def _replace_style(cell: Token) -> None:
    """Align a cell by a class: the content security policy forbids inline style."""
    if cell.attrs.pop("style", "") == "text-align:right":
        cell.attrSet("class", "num")


def _rewrite_links(tokens: Sequence[Token], path: Path) -> list[Token]:
    """Return the tokens with links to pages served here; a link to another file of the project becomes text."""
    rewritten: list[Token] = []
    outside_path: str | None = None  # set between the two ends of a link that becomes text
    link_text = ""
    for token in tokens:
        if token.type == "link_open":
            target = str(token.attrGet("href"))
            address = _resolve(target, path)
            if address is None:
                outside_path = posixpath.normpath(f"docs/{path.parent.name}/{target}")
                link_text = ""
                continue
            token.attrSet("href", address)
        elif token.type == "link_close" and outside_path is not None:
            if link_text != outside_path:
                rewritten.extend(_in_parentheses(outside_path))
            outside_path = None
            continue
        link_text += token.content
        rewritten.append(token)
    return rewritten


def _resolve(target: str, path: Path) -> str | None:
    """Return the address to which a link of the file `path` leads, or None if it leads outside the documentation."""
    parts = urlsplit(target)
    if parts.scheme or not parts.path:
        return target

    match = PAGE_LINK.fullmatch(parts.path)
    if match is None or _find_file(match[1], path.parent.name) is None:
        return None

    address = page_address(match[1])
    if parts.fragment:
        address += f"#{parts.fragment}"
    return address


def _in_parentheses(path: str) -> list[Token]:
    return [
        Token("text", "", 0, content=" ("),
        Token("code_inline", "code", 0, content=path),
        Token("text", "", 0, content=")"),
    ]


def _sections(tokens: Sequence[Token]) -> tuple[Section, ...]:
    """Return the headings of levels 2 and 3 as a tree."""
    sections: list[Section] = []
    for heading, inline in zip(tokens, tokens[1:], strict=False):
        if heading.type != "heading_open" or heading.tag not in ("h2", "h3"):
            continue
        title = "".join(child.content for child in inline.children or [])
        section = Section(str(heading.attrGet("id")), title)
        if heading.tag == "h3" and sections:
            parent = sections.pop()
            section = Section(parent.anchor, parent.title, (*parent.subsections, section))
        sections.append(section)
    return tuple(sections)


def _render_image(
    _renderer: RendererHTML, tokens: Sequence[Token], position: int, _options: OptionsDict, _env: EnvType
) -> str:
    """Pictures are for readers of the files: here the pages that they show are one click away."""
    return escape(tokens[position].content)


def _render_table_open(
    _renderer: RendererHTML, _tokens: Sequence[Token], _position: int, _options: OptionsDict, _env: EnvType
) -> str:
    """A wide table scrolls in a box of its own, so that the page fits a phone."""
    return '<div class="scroll">\n<table>\n'


def _render_table_close(
    _renderer: RendererHTML, _tokens: Sequence[Token], _position: int, _options: OptionsDict, _env: EnvType
) -> str:
    return "</table>\n</div>\n"
