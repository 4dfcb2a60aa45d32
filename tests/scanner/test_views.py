"""The pages of a run's entries, without a browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scanner.errors import ExportError
from scanner.export import formats
from scanner.export.omissions import Omissions
from scanner.format.records import Entry
from scanner.models import Note, Run
from tests.checker import stage
from tests.scanner import factories
from tests.scanner.factories import error_row, file_row, link_row, special_row

pytestmark = pytest.mark.django_db

EVIL = "evil\n\x1b[31m\u202egpj.exe"
DEEP = "/".join(["d" * 250] * 15) + "/end"
ROWS = [
    file_row(" sp "),
    file_row("2019/summer/big.raw", b"x" * 5000),
    file_row("2019/summer/small.jpg", b"x"),
    file_row("2019/winter.jpg", b"x" * 50),
    file_row("<img src=x onerror=alert(1)>", b"xx"),
    error_row("locked/secret", "EIO", "read"),
    file_row(DEEP, b"xxx"),
    file_row(EVIL, b"xxxx"),
    link_row("latest", "2019/summer"),
    special_row("run/ctl", "socket"),
]


@pytest.fixture
def run() -> Run:
    """A run with entries of every kind."""
    server, key = stage.make_server("alpha")
    made = stage.mark_ingested(stage.make_run(factories.make_replica(server), key, 0, errors=0))
    stage.store_entries(made, ROWS)
    return made


@pytest.fixture
def viewer(client: Client) -> Client:
    """A client that a viewer has logged in with."""
    client.force_login(stage.make_user("viewer"))
    return client


def get(client: Client, path: str, **headers: str) -> str:
    """The text of a page that must be there."""
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def leaves(page: str) -> list[str]:
    """The last parts of the paths in a list, as they are shown."""
    return [
        re.sub(r"<[^>]*>", "", leaf)
        for leaf in re.findall(r'<span class="leaf">(.*?)</bdi></span>', page, flags=re.DOTALL)
    ]


def test_the_largest_files_stand_first(viewer: Client, run: Run) -> None:
    """The list of entries begins with the largest; what has no size stands at its end."""
    shown = leaves(get(viewer, f"/runs/{run.uuid}/entries/"))
    assert shown[:3] == ["big.raw", "winter.jpg", "\\x20sp\\x20"]
    assert set(shown[-3:]) == {"secret", "latest", "ctl"}


def test_entries_are_sorted_by_path(viewer: Client, run: Run) -> None:
    """The order by path is that of the report."""
    page = get(viewer, f"/runs/{run.uuid}/entries/?order=path")
    assert leaves(page)[1:3] == ["big.raw", "small.jpg"] and 'aria-sort="ascending"' in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search=summer", ["big.raw", "small.jpg"]),
        ("search=%25", []),
        ("prefix=2019/&order=path", ["big.raw", "small.jpg", "winter.jpg"]),
        ("type=error", ["secret"]),
        ("type=link", ["latest"]),
        ("type=special", ["ctl"]),
        ("search=jpg&type=file&order=path", ["small.jpg", "winter.jpg"]),
    ],
)
def test_entries_are_searched_and_filtered(viewer: Client, run: Run, query: str, expected: list[str]) -> None:
    """A part of the path, a prefix and a type find what they say; a wildcard of SQL is a character."""
    assert leaves(get(viewer, f"/runs/{run.uuid}/entries/?{query}")) == expected


def test_an_error_is_explained(viewer: Client, run: Run) -> None:
    """An error is shown by its name and in words."""
    page = get(viewer, f"/runs/{run.uuid}/entries/?type=error")
    assert "EIO" in page and "input/output error" in page and "reading" in page


def test_names_are_shown_and_never_obeyed(viewer: Client, run: Run) -> None:
    """HTML, escapes, line ends and directions in names come out as visible text, on every page that shows them."""
    for page in (get(viewer, f"/runs/{run.uuid}/entries/"), get(viewer, f"/runs/{run.uuid}/tree/")):
        assert "<img src=x" not in page and "\x1b" not in page and "\u202e" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert "\\u202e</span>gpj.exe" in page


def test_a_long_path_is_folded_and_whole(viewer: Client, run: Run) -> None:
    """A path of 3,700 characters is folded in the list and whole in its details."""
    assert DEEP in get(viewer, f"/runs/{run.uuid}/entries/?search=end")


def test_more_entries_follow_by_a_link(viewer: Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page follows page by a real link until all were there once; with htmx only the rows come."""
    monkeypatch.setattr("scanner.views.PAGE_ROWS", 3)
    for order in ("-size", "path"):
        address = f"/runs/{run.uuid}/entries/?order={order}"
        seen = []
        while address:
            page = get(viewer, address)
            seen += leaves(page)
            match = re.search(r'(?s)class="more">.*?href="([^"]+)"\s+hx-get="([^"]+)"', page)
            if match:
                assert match[1] == match[2]
            address = f"/runs/{run.uuid}/entries/{match[1]}".replace("&amp;", "&") if match else ""

        assert len(seen) == len(ROWS)

    rows = get(viewer, f"/runs/{run.uuid}/entries/", **{"HX-Request": "true"})

    assert "<html" not in rows and len(leaves(rows)) == 3


@pytest.mark.parametrize("page", ["entries", "tree", "notes"])
def test_a_key_of_a_page_that_nobody_gave_is_not_found(viewer: Client, run: Run, page: str) -> None:
    """A made-up key of a page is answered 404, not with an error."""
    assert viewer.get(f"/runs/{run.uuid}/{page}/?after=rubbish").status_code == 404


@pytest.mark.parametrize(
    "query", ["order=sideways", "type=dragon", "search=%00", "prefix=%ff", "search=\\", "below=%00/"]
)
def test_what_an_address_cannot_mean_is_ignored(viewer: Client, run: Run, query: str) -> None:
    """Nonsense in an address leads to a page all the same."""
    get(viewer, f"/runs/{run.uuid}/entries/?{query}")
    get(viewer, f"/runs/{run.uuid}/tree/?{query}")


def test_the_tree_shows_one_level(viewer: Client, run: Run) -> None:
    """A level has its directories and its files, and the way back to the root."""
    page = get(viewer, f"/runs/{run.uuid}/tree/")
    assert "?below=2019%2F" in page and "winter.jpg" not in page

    page = get(viewer, f"/runs/{run.uuid}/tree/?below=2019/")
    assert leaves(page) == ["winter.jpg"] and "?below=2019%2Fsummer%2F" in page

    page = get(viewer, f"/runs/{run.uuid}/tree/?below=2019/summer")
    assert leaves(page) == ["big.raw", "small.jpg"] and "?prefix=2019%2Fsummer%2F" in page
    assert "nothing here" in get(viewer, f"/runs/{run.uuid}/tree/?below=nowhere")


def test_directories_follow_by_a_link(viewer: Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A level with more than a page goes on where it stopped."""
    monkeypatch.setattr("scanner.views.PAGE_ROWS", 4)
    page = get(viewer, f"/runs/{run.uuid}/tree/")
    match = re.search(r'(?s)class="more">.*?href="([^"]+)"', page)

    assert match is not None
    assert "latest" in get(viewer, f"/runs/{run.uuid}/tree/{match[1].replace('&amp;', '&')}")


def test_notes_are_told(viewer: Client, run: Run) -> None:
    """The notes of a run are shown in words; the page of a run without notes says so."""
    assert "Nothing unusual" in get(viewer, f"/runs/{run.uuid}/notes/")
    Note.objects.create(run=run, note="vanished", path=EVIL, detail="")
    page = get(viewer, f"/runs/{run.uuid}/notes/")
    assert "disappeared before it was read" in page and "\u202e" not in page


def test_a_state_is_that_of_its_run(viewer: Client, run: Run) -> None:
    """An entry that a later run ended is still on the page of the earlier one."""
    run.replica.versions.filter(path="2019/winter.jpg").update(until_seq=2)
    assert "winter.jpg" in leaves(get(viewer, f"/runs/{run.uuid}/entries/"))


def test_a_file_of_an_unsigned_import_has_digests_alone(viewer: Client, run: Run) -> None:
    """Sizes and times that nobody knows are shown as unknown."""
    stage.store_entries(run, [Entry("old", 1, sha256=b"a" * 32, md5=b"b" * 16)])
    page = get(viewer, f"/runs/{run.uuid}/entries/?search=old")
    assert "61" * 32 in page and "1970" not in page


def test_the_report_is_downloaded_byte_for_byte(viewer: Client) -> None:
    """The download is the file that the server signed, under a name made of ids."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    report = factories.make_report(replica, key, ROWS)
    run = factories.receive(server, report.gzip).run
    stage.store_entries(stage.mark_ingested(run), ROWS)
    response: Any = viewer.get(f"/runs/{run.uuid}/report/")

    assert b"".join(response.streaming_content) == report.data
    assert response["Content-Disposition"] == f'attachment; filename="{replica.uuid}-1.jsonl"'


def test_rows_that_were_changed_are_not_passed_off_as_the_report(viewer: Client) -> None:
    """A download of what is not what was signed breaks off with an error instead of ending well."""
    server, key = stage.make_server("alpha")
    run = stage.make_run(factories.make_replica(server), key)
    stage.store_entries(stage.mark_ingested(run), ROWS)
    response: Any = viewer.get(f"/runs/{run.uuid}/report/")

    with pytest.raises(ExportError):
        list(response.streaming_content)


def test_a_refused_report_cannot_be_downloaded(viewer: Client) -> None:
    """A refused report cannot be downloaded: only its statement is kept."""
    server, key = stage.make_server("alpha")
    run = stage.make_run(factories.make_replica(server), key)
    Run.objects.filter(pk=run.pk).update(state="refused")

    assert viewer.get(f"/runs/{run.uuid}/report/").status_code == 404
    assert "/report/" not in get(viewer, f"/runs/{run.uuid}/")


@pytest.mark.parametrize("form", formats.FORMATS)
def test_a_run_is_downloaded_in_the_form_of_another_tool(client: Client, form: str) -> None:
    """Who has a role gets what the command writes, under a name made of ids; others do not."""
    server, key = stage.make_server("alpha")
    run = stage.mark_ingested(stage.make_run(factories.make_replica(server), key, 0, rows=ROWS))
    stage.store_entries(run, ROWS)
    address = f"/runs/{run.uuid}/export/{form}/"

    assert client.get(address)["Location"].startswith("/login/")

    client.force_login(User.objects.create_user("nobody"))
    assert client.get(address).status_code == 403

    client.force_login(stage.make_user("viewer"))
    assert f'href="{address}"' in get(client, f"/runs/{run.uuid}/")

    response: Any = client.get(address)
    assert response["Content-Disposition"] == f'attachment; filename="{formats.file_name(run, form)}"'
    assert re.fullmatch(r"[0-9a-f-]{36}-1(-entries)?\.[a-z0-9]+", formats.file_name(run, form))
    assert b"".join(response.streaming_content) == b"".join(formats.export_run(run, form, Omissions()))


def test_only_a_complete_run_is_exported(viewer: Client) -> None:
    """A run without a state, and a form that there is not, are not found; the page of a failed run offers none."""
    server, key = stage.make_server("alpha")
    run = stage.make_run(factories.make_replica(server), key)

    assert viewer.get(f"/runs/{run.uuid}/export/csv/").status_code == 404
    assert "/export/" not in get(viewer, f"/runs/{run.uuid}/")
    assert viewer.get(f"/runs/{stage.mark_ingested(run).uuid}/export/exe/").status_code == 404


def test_a_changed_export_breaks_off(viewer: Client) -> None:
    """A download of rows that are not what was signed ends with an error instead of ending well."""
    server, key = stage.make_server("alpha")
    run = stage.make_run(factories.make_replica(server), key)
    stage.store_entries(stage.mark_ingested(run), ROWS)
    response: Any = viewer.get(f"/runs/{run.uuid}/export/sha256sum/")

    with pytest.raises(ExportError):
        list(response.streaming_content)
