"""Recognise what encrypting malware leaves: many files that come back under new endings with another content.

Nothing here knows how random a content looks: a report says nothing of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import connection, transaction

from checker.findings.packing import PACKERS
from checker.models import Comparison
from scanner.db.sql import fetch_all, load_statements
from scanner.format.entry_type import EntryType

statement = load_statements(__file__)

CREATE_RENAMED_FILES = statement("create_renamed_files")
FIND_RANSOM_ENDINGS = statement("find_ransom_endings")
COUNT_FILES_WITH_ENDING = statement("count_files_with_ending")
COUNT_UNKNOWN_ENDINGS = statement("count_unknown_endings")


class Ending(NamedTuple):
    """An ending that files got together with another content."""

    name: str
    number: int
    """How many files got it."""
    number_before: int
    """How many files ended in its last part before."""


class NewEndings(NamedTuple):
    """Signs of malware in the endings of renamed and rewritten files."""

    common: Ending | None
    """One that many of them got and that is new, if there is one."""
    number_unknown: int
    """How many of them got an ending that no file had before."""


def find_new_endings(comparison: Comparison, least: int, packed: Mapping[str, int]) -> NewEndings:
    """Return what the endings say that files of a comparison got together with another content.

    `packed` says how many files got which ending by being packed: these do not count for the common one, of which at
    least `least` files are asked for.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CREATE_RENAMED_FILES, {"comparison": comparison.pk, "file": EntryType.FILE.value})
        return NewEndings(_find_common_ending(comparison, least, packed), _count_unknown_endings(comparison))


def _find_common_ending(comparison: Comparison, least: int, packed: Mapping[str, int]) -> Ending | None:
    """Return an ending that at least `least` files got with another content, if it was rarer than that before.

    An ending counts as new as long as fewer files had it before than got it now: neither a single file from before nor
    the first minutes of an attack hide the rest. Only its last part is looked for, since logs that are packed under a
    date get an ending that is new each time, but whose last part many files have.
    """
    assert comparison.base is not None

    for ending, number in fetch_all(FIND_RANSOM_ENDINGS, {"least": least}):
        _rest, _dot, last_part = ending.rpartition(".")
        before = {
            "replica": comparison.replica_id,
            "sequence": comparison.base.sequence,
            "ending": last_part,
            # Counting stops where the ending is not new any more.
            "most": number,
            "file": EntryType.FILE.value,
        }
        if number - packed.get(ending, 0) < least:
            continue
        number_before = int(fetch_all(COUNT_FILES_WITH_ENDING, before)[0][0])
        if number_before < number:
            return Ending(ending, int(number), number_before)
    return None


def _count_unknown_endings(comparison: Comparison) -> int:
    """Return how many files got, with another content, an ending that no file had before."""
    assert comparison.base is not None

    parameters: dict[str, Any] = {
        "replica": comparison.replica_id,
        "sequence": comparison.base.sequence,
        "packers": list(PACKERS),
        "file": EntryType.FILE.value,
    }
    return int(fetch_all(COUNT_UNKNOWN_ENDINGS, parameters)[0][0])
