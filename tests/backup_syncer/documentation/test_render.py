"""Pages of the documentation as HTML: every page renders, and every address in it leads somewhere."""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backup_syncer.bundled import bundled
from backup_syncer.documentation import render
from backup_syncer.documentation.render import DocumentationPage, list_pages, load_page

LANGUAGES = ("en", "ru")
NAMES = sorted(path.stem for path in (bundled("docs") / "en").glob("*.md"))

each_page = pytest.mark.parametrize("name", NAMES)
each_language = pytest.mark.parametrize("language", LANGUAGES)


class RenderedHtml(HTMLParser):
    """Contents of a rendered page: ids, link targets, headings as (level, id, text), names of elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.headings: list[tuple[int, str, str]] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self._in_heading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.add(tag)
        self.attributes.update(attributes)
        if "id" in attributes:
            self.ids.append(str(attributes["id"]))
        if tag == "a":
            self.targets.append(str(attributes["href"]))
        if tag in ("h2", "h3"):
            self.headings.append((int(tag[1]), str(attributes["id"]), ""))
            self._in_heading = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h2", "h3"):
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            level, anchor, text = self.headings[-1]
            self.headings[-1] = (level, anchor, text + data)


@pytest.fixture
def write_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A documentation of its own: returns the path of the English page `page`; there is another page, `other`."""
    for language in LANGUAGES:
        (tmp_path / "docs" / language).mkdir(parents=True)
    (tmp_path / "docs/en/other.md").write_text("# Other\n", encoding="utf-8")
    monkeypatch.setattr(render, "bundled", lambda name: tmp_path / name)
    return tmp_path / "docs/en/page.md"


def load(name: str, language: str) -> DocumentationPage:
    """Return a page that exists."""
    page = load_page(name, language)
    assert page is not None
    return page


def render_text(path: Path, markdown: str) -> DocumentationPage:
    """Return the page that holds this text below its title."""
    path.write_text(f"# Page\n\n{markdown}\n", encoding="utf-8")
    return load("page", "en")


@each_page
@each_language
def test_every_page_renders(name: str, language: str) -> None:
    """A page becomes plain elements of text, each id stands once, and nothing could run or load."""
    page = load(name, language)
    html = RenderedHtml(page.html)
    assert page.title and f"<h1>{page.title}</h1>" in page.html
    assert sorted(html.ids) == sorted(set(html.ids))
    assert not html.elements & {"script", "style", "img", "iframe", "form", "link"}
    assert html.attributes <= {"id", "href", "class", "scope", "start"}


@each_page
@each_language
def test_every_link_leads_somewhere(name: str, language: str) -> None:
    """A link leads to an id of this page, to a served page and an id of it, or to another site."""
    for target in RenderedHtml(load(name, language).html).targets:
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https", target
            continue
        other = name
        if parts.path:
            other = parts.path.removeprefix("/docs/").strip("/") or "index"
            assert parts.path == render.page_address(other), target
        if parts.fragment:
            assert parts.fragment in RenderedHtml(load(other, language).html).ids, target


@each_page
@each_language
def test_explicit_anchors_are_ids(name: str, language: str) -> None:
    """Each `<a id>` of the file is an id of the page, the same in both languages."""
    path = bundled("docs") / load(name, language).language / f"{name}.md"
    anchors = render.EXPLICIT_ANCHOR.findall(path.read_text(encoding="utf-8"))
    assert set(anchors) <= set(RenderedHtml(load(name, language).html).ids)


@each_page
@each_language
def test_contents_are_the_headings(name: str, language: str) -> None:
    """The table of contents has each heading of levels 2 and 3, in order, with its address."""
    page = load(name, language)
    listed = []
    for section in page.sections:
        listed.append((2, section.anchor, section.title))
        listed += [(3, subsection.anchor, subsection.title) for subsection in section.subsections]
    assert listed == RenderedHtml(page.html).headings


@each_language
def test_list_has_every_page_once(language: str) -> None:
    """The list begins with the index and names each page by the title in the reader's language."""
    links = list_pages(language)
    assert links[0].name == "index"
    assert sorted(link.name for link in links) == NAMES
    assert all(link.title == load(link.name, language).title for link in links)


def test_other_html_is_text(write_page: Path) -> None:
    """Tags, comments and addresses that run something come out as text."""
    hostile = "<script>alert(1)</script>\n\na <b onclick=x>b</b> <!-- c -->\n\n[x](javascript:alert(1))\n\n![x](y.png)"
    html = RenderedHtml(render_text(write_page, hostile).html)
    assert html.elements == {"h1", "p"}
    assert html.attributes == set()


def test_explicit_anchor_that_equals_the_slug_stands_once(write_page: Path) -> None:
    """An explicit anchor is the heading's id; another heading with that slug gets another id."""
    page = render_text(write_page, '## Scope\n\n<a id="scope"></a>\n\n## The scope\n\n### Scope')
    assert RenderedHtml(page.html).ids == ["scope-1", "scope", "scope-2"]


def test_link_outside_the_documentation_is_text_with_its_path(write_page: Path) -> None:
    """A reader of the page sees where the file stands in the project; a text that is the path is not repeated."""
    html = render_text(write_page, "[unit](../../deploy/a.service) [SECURITY.md](../../SECURITY.md)").html
    assert "<p>unit (<code>deploy/a.service</code>) SECURITY.md</p>" in html
    assert "<a" not in html


def test_links_between_pages_lead_to_the_served_pages(write_page: Path) -> None:
    """A link keeps its fragment, whichever language's directory it names; one to a missing page becomes text."""
    html = render_text(write_page, "[a](other.md#b) [c](../ru/other.md) [d](#e) [f](gone.md)").html
    assert RenderedHtml(html).targets == ["/docs/other/#b", "/docs/other/", "#e"]


def test_wide_tables_scroll_in_their_own_box(write_page: Path) -> None:
    """A table stands in an element that scrolls, and aligns its numbers without inline style."""
    html = render_text(write_page, "| a | b |\n|---|--:|\n| c | 1 |").html
    assert '<div class="scroll">\n<table>' in html
    assert '<td class="num">1</td>' in html
    assert "style" not in html


def test_edited_file_is_rendered_again(write_page: Path) -> None:
    """A page is rendered once for each modification time of its file."""
    first = render_text(write_page, "before")
    assert load("page", "en") is first

    write_page.write_text("# Page\n\nafter\n", encoding="utf-8")
    later_ns = write_page.stat().st_mtime_ns + 10**9
    os.utime(write_page, ns=(later_ns, later_ns))
    assert "after" in load("page", "en").html


def test_english_stands_in_for_a_missing_translation(write_page: Path) -> None:
    """A page without a translation comes in English and says so."""
    render_text(write_page, "text")
    page = load("page", "ru")
    assert (page.language, page.title) == ("en", "Page")


@pytest.mark.parametrize("name", ["", ".", "..", "../en/index", "index.md", "index\0", "/etc/passwd", "x" * 5000, "é"])
def test_hostile_name_is_no_page(name: str) -> None:
    """A name is compared with the names of the files, never made into a path."""
    assert load_page(name, "en") is None
