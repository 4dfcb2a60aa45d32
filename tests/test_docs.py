"""Check that the READMEs and the documentation are true, in both languages.

Each setting, key, command, option, format, kind and status stands there with its default or its address, and nothing
that does not exist. A fact stands in one page, so most tests look at all pages of a language together.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
import tomllib
from django.core.management import BaseCommand, get_commands, load_command_class
from django.urls import get_resolver
from django.utils import translation

from backup_syncer.launcher import serve
from backup_syncer.quickstart import options as quickstart_options
from checker.models import Change, Divergence, Finding
from checker.pages.status import Status
from scanner import errors, roles
from scanner.admin.servers import ServerAdmin
from scanner.api.routes import api
from scanner.collector import cli, config, version
from scanner.export import formats
from scanner.format import records
from scanner.format.envelope import RUN_TYPE
from scanner.format.statement import STATEMENT_KEYS
from scanner.models import Group

CHECKOUT = Path(__file__).resolve().parent.parent
READMES = {"ru": "README.md", "en": "README_eng.md"}
README_BYTES = 12_000
"""A README is read in five minutes; all else stands in the documentation."""
PAGES = (
    "index",
    "first-hour",
    "everyday",
    "collector",
    "central-server",
    "report-format",
    "api",
    "security",
    "performance",
    "glossary",
)
"""The pages that there are in both languages."""
ENGLISH_ONLY = frozenset({"architecture"})
"""Pages for those who change the code, which is English."""
SERVICES = frozenset({"serve", "quickstart"})
"""What `backup-syncer` does by itself; all its other commands are Django's."""
FOREIGN = frozenset({"--deploy", "--home-dir", "--no-build-isolation", "--no-create-home", "--no-deps", "--now"})
FOREIGN |= {"--clean", "--if-exists", "--require-hashes", "--shell", "--single-transaction", "--system", "--user-group"}
FOREIGN |= {"--data-binary", "--data-urlencode"}
"""Options of programs that are not ours."""
SETTING = re.compile(r"(?:BACKUP_SYNCER_[A-Z_]+|SECRET_KEY|DATABASE_URL)(?:_FILE)?\Z")
ANCHOR = re.compile(r'(?m)^<a id="([\w-]+)"></a>$')
LINK = re.compile(r"\]\(([^)\s]+)\)")

both = pytest.mark.parametrize("language", READMES)
each_page = pytest.mark.parametrize("name", ("README", *PAGES))


class Block(NamedTuple):
    """A fenced block: the word behind its fence, and what is in it."""

    kind: str
    code: str


class Table(NamedTuple):
    """A table's cells, without its head."""

    under: str
    """The heading above it."""
    head: list[str]
    rows: list[list[str]]


def page(language: str, name: str) -> Path:
    """Return the path of a page of the documentation, or of the README."""
    if name == "README":
        return CHECKOUT / READMES[language]
    return CHECKOUT / "docs" / language / f"{name}.md"


def pages(language: str) -> list[Path]:
    """Return the README and all pages of a language."""
    return [page(language, "README"), *sorted((CHECKOUT / "docs" / language).glob("*.md"))]


def read(path: Path) -> str:
    """Return the text of a page."""
    return path.read_text(encoding="utf-8")


def text(language: str) -> str:
    """Return the text of all pages of a language."""
    return "\n\n".join(read(path) for path in pages(language))


def blocks_of(markdown: str) -> list[Block]:
    """Return the fenced blocks of a text, in order."""
    return [Block(kind, code) for kind, code in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", markdown)]


def blocks(language: str) -> list[Block]:
    """Return the fenced blocks of all pages."""
    return blocks_of(text(language))


def prose_of(markdown: str) -> str:
    """Return a text without its fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", markdown)


def prose(language: str) -> str:
    """Return the text of all pages without fenced blocks."""
    return prose_of(text(language))


def headings_of(markdown: str) -> list[tuple[int, str]]:
    """Return level and words of each heading of a text."""
    return [(len(marks), words) for marks, words in re.findall(r"(?m)^(#+) (.+)$", prose_of(markdown))]


def tables_of(markdown: str) -> list[Table]:
    """Return the tables of a text, in order."""
    collected: list[Table] = []
    under = ""
    rows = list[list[str]]()
    for line in [*prose_of(markdown).splitlines(), ""]:
        if line.startswith("#"):
            under = line.lstrip("# ")
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
        elif rows:
            collected.append(Table(under, rows[0], rows[2:]))
            rows = []
    return collected


def tables(language: str) -> list[Table]:
    """Return the tables of all pages."""
    return [table for path in pages(language) for table in tables_of(read(path))]


def spans(cell: str) -> list[str]:
    """Return the code in a piece of text."""
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", cell)]


def table_with(language: str, first: str) -> dict[str, list[str]]:
    """Return the rows of the one table in which a row begins with the code `first`, by the code they begin with."""
    collected = []
    for table in tables(language):
        rows = {spans(row[0])[0]: row for row in table.rows if row[0].startswith("`")}
        if first in rows:
            collected.append(rows)
    assert len(collected) == 1, f"{language}: {len(collected)} tables have a row for {first}"
    return collected[0]


def calls(path: Path) -> Iterator[tuple[str, str, ast.expr | None]]:
    """A call that reads the environment: function, name of the variable, and the second argument."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            yield "os.environ", str(ast.literal_eval(node.slice)), None
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.args[0].value
            function = ast.unparse(node.func)
            if function.startswith(("environment.", "os.environ.", "os.getenv")) and isinstance(name, str):
                yield function, name, node.args[1] if len(node.args) > 1 else None


def settings() -> dict[str, str]:
    """Every variable that the central server reads, with its default as text; empty where there is none."""
    collected: dict[str, str] = {}
    for path in (CHECKOUT / "backup_syncer").rglob("*.py"):
        for function, name, second in calls(path):
            if not SETTING.match(name):
                continue
            default = ""
            if second is not None and function.startswith("environment.") and function != "environment.directory":
                default = str(eval(ast.unparse(second), {"MIB": 1 << 20, "GIB": 1 << 30}))
            collected[name] = collected.get(name) or default
            if function == "environment.secret":
                collected[f"{name}_FILE"] = ""
    return collected


def options(parser: argparse.ArgumentParser) -> set[str]:
    """The long options of a parser and of its commands."""
    collected = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
    for command in commands(parser).values():
        collected |= options(command)
    return collected


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a parser."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(groups[0].choices) if groups else {}


def commands_of(*apps: str) -> dict[str, argparse.ArgumentParser]:
    """Return the Django commands of these packages."""
    collected = {name: app for name, app in get_commands().items() if app in apps}
    return {
        name: load_command_class(str(app), name).create_parser("backup-syncer", name) for name, app in collected.items()
    }


def ours() -> dict[str, argparse.ArgumentParser]:
    """Return the commands that people use: those of backup_syncer serve its launcher."""
    return commands_of("scanner", "checker")


def of_test_script() -> set[str]:
    """The options of deploy/test.sh."""
    collected = re.findall(r'add_argument\(\s*"(--[a-z-]+)"', (CHECKOUT / "deploy/test.py").read_text(encoding="utf-8"))
    assert collected
    return set(collected)


def of_verifier() -> set[str]:
    """The options of deploy/verify_report.py."""
    text = (CHECKOUT / "deploy/verify_report.py").read_text(encoding="utf-8")
    collected = re.findall(r'add_argument\(\s*"(--[a-z-]+)"', text)
    assert collected
    return set(collected)


def strip_comments(code: str) -> list[str]:
    """Return the lines of a script without their comments, which are in the page's language."""
    return [re.sub(r"\s+# .*", "", line) for line in code.splitlines()]


def test_both_languages_have_the_same_pages() -> None:
    """Every page exists in both languages; only what is for developers is English alone."""
    names = {language: {path.stem for path in (CHECKOUT / "docs" / language).glob("*.md")} for language in READMES}
    assert names["ru"] == set(PAGES)
    assert names["en"] - ENGLISH_ONLY == set(PAGES)


@both
def test_index_names_every_page(language: str) -> None:
    """The index and the README link to each other page of the language."""
    others = {path.name for path in pages(language)[1:]} - {"index.md"}
    assert others <= set(LINK.findall(read(page(language, "index"))))
    from_readme = {f"docs/{language}/{name}.md" for name in PAGES if name != "index"}
    assert from_readme <= set(LINK.findall(read(page(language, "README"))))


@both
def test_readme_is_short(language: str) -> None:
    """A README has at most 12 KB."""
    assert page(language, "README").stat().st_size <= README_BYTES


@each_page
def test_both_have_the_same_headings(name: str) -> None:
    """A page has one title; count and levels of the headings are the same in both languages."""
    levels = {language: [level for level, _words in headings_of(read(page(language, name)))] for language in READMES}
    assert levels["ru"] == levels["en"]
    assert levels["en"].count(1) == 1 and max(levels["en"]) <= 3


@each_page
def test_both_have_the_same_anchors(name: str) -> None:
    """Explicit addresses are the same in both languages, in the same order, and each is given once."""
    anchors = {language: ANCHOR.findall(read(page(language, name))) for language in READMES}
    assert anchors["ru"] == anchors["en"]
    assert [anchor for anchor, times in Counter(anchors["en"]).items() if times > 1] == []


@both
def test_html_is_nothing_but_anchors(language: str) -> None:
    """The pages hold no raw HTML but anchors, each on a line of its own before a heading."""
    for path in pages(language):
        markdown = prose_of(read(path))
        without_code = re.sub(r"`[^`]*`", "", ANCHOR.sub("", markdown))
        assert re.findall(r"<[a-z/!][^>]*>", without_code) == [], path.name
        headed = re.findall(r'(?m)^<a id="[\w-]+"></a>\n\n#', markdown)
        assert len(headed) == len(ANCHOR.findall(markdown)), path.name


@each_page
def test_both_have_the_same_code(name: str) -> None:
    """Commands, configuration and examples do not depend on the language; only comments and drawings do."""
    ru = blocks_of(read(page("ru", name)))
    en = blocks_of(read(page("en", name)))
    assert [block.kind for block in ru] == [block.kind for block in en]
    for russian, english in zip(ru, en, strict=True):
        if "───" not in russian.code:
            assert strip_comments(russian.code) == strip_comments(english.code)


@each_page
def test_both_have_the_same_tables(name: str) -> None:
    """Tables have the same rows in both languages, told by the code in their first and second cells."""
    ru = tables_of(read(page("ru", name)))
    en = tables_of(read(page("en", name)))
    for russian, english in zip(ru, en, strict=True):
        if name == "glossary":  # its second column in Russian is the first one in English
            assert [row[1] for row in russian.rows] == [row[0].replace("*", "") for row in english.rows], russian.under
            continue
        assert [[spans(cell) for cell in row[:2]] for row in russian.rows] == [
            [spans(cell) for cell in row[:2]] for row in english.rows
        ], russian.under


@both
def test_tables_are_whole(language: str) -> None:
    """All rows of a table have as many cells as its head."""
    for table in tables(language):
        assert {len(row) for row in table.rows} == {len(table.head)}, table.under


@both
def test_every_setting_stands_with_its_default(language: str) -> None:
    """The table of settings has each variable that is read, with its default, and no other."""
    rows = table_with(language, "BACKUP_SYNCER_STATE")
    documented = {name: (spans(row[1]) or [""])[0] for name, row in rows.items()}
    expected = settings()
    assert set(documented) == set(expected)
    without_word = {"BACKUP_SYNCER_WEB_WORKERS"}  # its default stands in the launcher
    assert {name: documented[name] for name in documented if name not in without_word} == {
        name: expected[name] for name in expected if name not in without_word
    }


@both
def test_no_other_setting_is_named(language: str) -> None:
    """Nowhere does a page name a variable that nobody reads."""
    named = set(re.findall(r"\b(?:BACKUP_SYNCER_[A-Z_]+|(?:SECRET_KEY|DATABASE_URL)(?:_FILE)?)\b", text(language)))
    assert named <= set(settings())


@both
def test_every_key_of_the_collector_stands_with_its_default(language: str) -> None:
    """The table of the configuration file has each key with its default, and no other."""
    rows = table_with(language, "keep-days")
    assert {name: (spans(row[1]) or [""])[0] for name, row in rows.items()} == {
        key.name: key.default for key in config.KEYS
    }


@both
def test_example_configuration_is_read(language: str, tmp_path: Path) -> None:
    """The example of the collector's configuration is one that the collector takes."""
    (example,) = (block.code for block in blocks(language) if block.kind == "ini" and "roots" in block.code)
    path = tmp_path / "collector.conf"
    path.write_text(example, encoding="utf-8")
    assert config.load_config(path).roots == (b"/srv/photos", b"/srv/archive")


@both
def test_every_command_of_the_collector_stands(language: str) -> None:
    """The collector's commands are those of the table, and each of their options is named."""
    expected = commands(cli.build_parser())
    rows = table_with(language, "init")
    assert {name.split()[0] for name in rows} == set(expected)
    missing = options(cli.build_parser()) - {"--help"} - set(re.findall(r"--[a-z-]+", text(language)))
    assert not missing
    run_options = {option.split()[0] for option in table_with(language, "--accept-root")}
    assert run_options | {"--local", "--output", "--help"} == options(expected["run"])


@both
def test_every_command_of_the_central_server_stands(language: str) -> None:
    """The commands of scanner and checker are in the table with their own options, and none that is not there."""
    rows = {name.split()[0]: row for name, row in table_with(language, "serve").items()}
    known = set(get_commands()) | SERVICES
    assert set(ours()) | SERVICES <= set(rows) <= known
    of_every_command = options(BaseCommand().create_parser("backup-syncer", ""))
    for name, parser in ours().items():
        documented = set(re.findall(r"--[a-z-]+", " ".join(rows[name])))
        assert options(parser) - of_every_command == documented, name
    named = set(re.findall(r"(?<![\w./-])(?<!another )backup-syncer ([a-z_]+)", text(language)))
    assert named <= known


@both
def test_no_option_is_named_that_does_not_exist(language: str) -> None:
    """Every option that a page names is one of our programs', or is known to be another program's."""
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text(language)))
    parsers = [cli.build_parser(), quickstart_options.parser(), serve.parser()]
    parsers += commands_of("scanner", "checker", "backup_syncer").values()
    known = set().union(*(options(parser) for parser in parsers)) | of_test_script() | of_verifier()
    assert named - FOREIGN <= known
    assert of_test_script() | of_verifier() | options(quickstart_options.parser()) - {"--help"} <= named


@both
def test_every_form_of_export_stands(language: str) -> None:
    """The table of forms has each one that there is, and no other."""
    (table,) = (table for table in tables(language) if spans(table.head[0]) == ["--format"])
    documented = [form for row in table.rows for form in spans(row[0])]
    message = f"give docs/{language}/everyday.md a row for each format, in the order of FORMATS"
    assert documented == list(formats.FORMATS), message


@both
def test_links_lead_somewhere(language: str) -> None:
    """Each link within the project leads to a file, and to an explicit address in it; so does each path in code."""
    for path in pages(language):
        for target in LINK.findall(prose_of(read(path))):
            if "://" in target:
                continue
            file, _hash, anchor = target.partition("#")
            other = (path.parent / file).resolve() if file else path
            assert other.exists(), f"{path.name}: {target}"
            if anchor:
                assert anchor in ANCHOR.findall(read(other)), f"{path.name}: {target}"
    for path in re.findall(r"(?<![\w/.-])(?:deploy|tests)/[\w./-]*\w", text(language)):
        assert (CHECKOUT / path).exists(), path
    for module in re.findall(r"(?<![\w/.-])python3? -m ([\w.]+)", text(language)):
        assert module == "venv" or find_spec(module) is not None, module


@both
def test_every_bench_stands(language: str) -> None:
    """The page of figures names the command of each benchmark."""
    figures = read(page(language, "performance"))
    for bench in (CHECKOUT / "tests" / "bench").glob("*.py"):
        assert f"python -m tests.bench.{bench.stem}" in figures, bench.stem


@both
def test_local_run_works_as_it_stands(language: str, tmp_path: Path) -> None:
    """Every line that hashes a directory without a central server does so, and what it wrote is found good."""
    builder = [sys.executable, "-B", str(CHECKOUT / "deploy/build_collector.py"), "backup-syncer-collector.pyz"]
    subprocess.run(builder, cwd=tmp_path, check=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"a photo\n")
    (tmp_path / "photos/b.tmp").write_bytes(b"excluded\n")
    settings_file = tmp_path / "collector.conf"
    settings_file.write_text(f"[collector]\nstate = {tmp_path}/state\n", encoding="utf-8")
    lines = "\n".join(block.code for block in blocks(language) if "run --local" in block.code)
    script = re.sub(r"(?m)^\d+ \d+ \* \* \*\s+", "", lines)
    for old, new in (
        (r"(?:/usr/bin/)?python3 ", f"{sys.executable} "),
        (
            r"(?:/usr/local/bin/)?backup-syncer-collector\.pyz",
            f"./backup-syncer-collector.pyz --config {settings_file}",
        ),
        (r"/srv/photos|/var/lib/fixity", lambda collected: f"{tmp_path}/{collected[0].rpartition('/')[2]}"),
    ):
        script = re.sub(old, new, script)
    done = subprocess.run(["sh", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 file," in done.stderr and "holds" in done.stderr and "BROKEN" not in done.stderr
    assert len(list((tmp_path / "fixity").glob("photos-*.jsonl.gz"))) == lines.count("run --local")


@both
def test_lines_of_the_report_are_such_lines(language: str) -> None:
    """The example of a report parses, line for line, once its dots are digests; entries and notes are in order."""
    examples = [block.code for block in blocks(language) if block.kind == "json"]
    (example,) = (code for code in examples if code.startswith(f'{{"payloadType":"{RUN_TYPE}"'))
    whole = example.replace('"sha256":"…"', f'"sha256":"{"1" * 64}"').replace('"md5":"…"', f'"md5":"{"2" * 32}"')
    envelope, *lines = whole.splitlines()
    assert list(json.loads(envelope)) == ["payloadType", "payload", "signatures"]
    collected = [records.decode_record(line.encode()) for line in lines]
    for record, line in zip(collected, lines, strict=True):
        records.check_record(record)
        assert records.encode_record(record).decode() == line + "\n"
    entries = [record for record in collected if isinstance(record, records.Entry)]
    assert collected[: len(entries)] == sorted(entries) and {entry.type for entry in entries} == {1, 2, 3, 4}


@both
def test_words_of_the_format_are_those_of_the_code(language: str) -> None:
    """The statement's keys in their order, and every note, stage and special, stand in the pages."""
    rows = [spans(row[0]) for table in tables(language) for row in table.rows if table.rows[0][0].startswith("`run`, ")]
    assert [key for keys in rows for key in keys] == STATEMENT_KEYS
    code = set(spans(prose(language)))
    assert code >= records.NOTE_KINDS | records.ERROR_STAGES | records.SPECIAL_KINDS


@both
def test_refusals_of_the_api_are_those_of_the_code(language: str) -> None:
    """The table of errors has each code with its status, and no other."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Refusal)]
    rows = table_with(language, "malformed")
    assert {name: row[1] for name, row in rows.items()} == {kind.code: str(kind.status) for kind in kinds}


@both
def test_calls_of_the_api_are_those_of_the_code(language: str) -> None:
    """The table of calls has each operation of the API, and no other."""
    assert get_resolver().url_patterns  # loading them mounts the checker's part of the API
    schema = api.get_openapi_schema(path_prefix="/")
    known = {f"{method.upper()} {path}" for path, item in schema["paths"].items() for method in item}
    assert set(table_with(language, "POST /reports")) == known


@both
def test_roles_are_those_of_the_code(language: str) -> None:
    """The table of roles has each role, and no other."""
    assert set(table_with(language, roles.VIEWER)) == {roles.VIEWER, roles.OPERATOR, roles.ADMINISTRATOR}


@both
def test_every_kind_has_its_section(language: str) -> None:
    """Each status, kind and verdict has a section under its address and with its name, and no other one exists."""
    verdicts = [verdict for verdict in Divergence.CopyVerdict if verdict != Divergence.CopyVerdict.NOTHING]
    with translation.override(language):
        expected = {
            "status": {status.value: str(status.label) for status in Status},
            "finding": {kind.value: str(kind.label) for kind in Finding.Kind},
            "change": {kind.value: str(kind.label) for kind in Change.Kind},
            "divergence": {kind.value: str(kind.label) for kind in Divergence.Kind},
            "verdict": {verdict.name.lower(): str(verdict.label) for verdict in verdicts},
        }
    sections = re.findall(r'(?m)^<a id="([a-z]+)-(\w+)"></a>\n\n### (?:\S+: )?(.+)$', read(page(language, "everyday")))
    for prefix, labels in expected.items():
        names = {value: name.lower() for kind, value, name in sections if kind == prefix}
        assert names == {value: label.lower() for value, label in labels.items()}


@both
def test_button_that_enrols_is_named_as_on_the_page(language: str) -> None:
    """The pages call the button of an enrolment token what the administration calls it."""
    (button,) = (act for act in ServerAdmin.row_actions if act.name == "enrol")
    with translation.override(language):
        assert str(button.title) in prose(language)


@both
def test_settings_of_a_group_are_those_of_the_code(language: str) -> None:
    """The tables of policies and relations have each one that there is, and no other."""
    with translation.override(language):
        for first, choices in (("immutable", Group.Policy), ("mirror", Group.Relation)):
            shown = {value: row[1] for value, row in table_with(language, first).items()}
            assert shown == {choice.value: str(choice.label) for choice in choices}


@both
def test_messages_are_those_of_the_code(language: str) -> None:
    """Messages that the troubleshooting tables quote are messages of some program."""
    sources = [path for name in ("backup_syncer", "scanner", "checker") for path in (CHECKOUT / name).rglob("*.py")]
    documented = "\n".join(re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8")) for path in sources)
    heads = {"what you see", "reason", "message", "что видно", "причина", "сообщение"}
    seen = [table for table in tables(language) if table.head[0] in heads]
    codes = [code for table in seen for row in table.rows for code in spans(row[0])]
    messages = [code for code in codes if not code.startswith("/")]
    assert "root on another file system" in messages and len(messages) > 8
    for message in messages:
        for part in re.split("…", message):
            assert part.strip() in documented, message


def test_newest_version_of_the_changelog_is_the_projects() -> None:
    """CHANGELOG, package and collector have the same version."""
    log = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", log)[0]
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert newest == project["version"] == version.VERSION
