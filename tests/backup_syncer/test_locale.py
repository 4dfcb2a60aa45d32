"""The Russian catalogue: whole, compiled, and with the same placeholders as the English."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polib
import pytest
from django.utils import translation

from scanner.formatting.names import visible_text
from scanner.formatting.numbers import brief_size, duration, interval, number, relative_time

ROOT = Path(__file__).parents[2]
CATALOGUE = Path("backup_syncer/locale/ru/LC_MESSAGES/django.po")
NAMED = re.compile(r"%\(\w+\)[sd]")


@pytest.fixture(scope="module")
def catalogue() -> polib.POFile:
    """The catalogue as it is in the tree."""
    return polib.pofile(str(ROOT / CATALOGUE))


def test_everything_is_translated(catalogue: polib.POFile) -> None:
    """No entry is empty, fuzzy or obsolete."""
    wanting = [*catalogue.untranslated_entries(), *catalogue.fuzzy_entries(), *catalogue.obsolete_entries()]
    assert [entry.msgid for entry in wanting] == [], "translate these, and remove fuzzy marks"


def test_the_compiled_catalogue_is_that_of_the_source(catalogue: polib.POFile) -> None:
    """The .mo beside the .po is made of it."""
    is_compiled = (ROOT / CATALOGUE).with_suffix(".mo").read_bytes() == catalogue.to_binary()
    assert is_compiled, "compile django.po, as CONTRIBUTING.md says"


def test_placeholders_are_the_same(catalogue: polib.POFile) -> None:
    """A translation names exactly what its text names; of a plural, what its plural names."""
    for entry in catalogue:
        placeholders = set(NAMED.findall(entry.msgid_plural or entry.msgid))
        for text in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert set(NAMED.findall(text)) == placeholders, entry.msgid


def test_the_catalogue_holds_every_text_of_the_tree(catalogue: polib.POFile, tmp_path: Path) -> None:
    """The catalogue has exactly the texts that makemessages finds in templates and code."""
    if shutil.which("xgettext") is None:
        pytest.skip("gettext is not installed (apt-get install gettext)")
    for part in ("backup_syncer", "scanner", "checker", "templates", "tests/settings.py", "manage.py"):
        source, target = ROOT / part, tmp_path / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    command = [sys.executable, "manage.py", "makemessages", "--locale=ru", "--no-obsolete", "--ignore=tests"]
    subprocess.run([*command, "--settings=tests.settings"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    extracted = {(entry.msgctxt, entry.msgid) for entry in polib.pofile(str(tmp_path / CATALOGUE))}
    known = {(entry.msgctxt, entry.msgid) for entry in catalogue}
    assert extracted == known, "run makemessages, as CONTRIBUTING.md says"


def test_russian_numbers_bend_their_words() -> None:
    """One, few and many have their own forms, also in the past and the future."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    with translation.override("ru"):
        assert [relative_time(now - timedelta(hours=n), now) for n in (1, 2, 5, 21)] == [
            "1 час назад",
            "2 часа назад",
            "5 часов назад",
            "21 час назад",
        ]
        assert relative_time(now + timedelta(minutes=1), now) == "через 1 минуту"
        assert (interval(timedelta(days=1)), interval(timedelta(days=7))) == ("каждый день", "каждые 7 дней")
        assert (brief_size(1536), number(1234567)) == ("1,50\u00a0КиБ", "1\u00a0234\u00a0567")
        assert duration(93_000_000_000) == "1 мин 33 с"


def test_names_are_the_same_in_every_language() -> None:
    """A language changes words, never a name."""
    with translation.override("ru"):
        assert visible_text("a\u202eb") == "a\\u202eb"
