"""Recognise what grew out of what was there: files that were packed one by one, and files that were appended to."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from checker.findings.candidates import age_parameters
from checker.models import Change, Comparison
from scanner.db.sql import fetch_all, load_statements
from scanner.format.entry_type import EntryType

statement = load_statements(__file__)

COUNT_PACKED = statement("count_packed")
COUNT_GROWN = statement("count_grown")

PACKERS = ("Z", "br", "bz2", "gz", "lz", "lz4", "lzma", "lzo", "xz", "zst")
"""Endings that tools append which pack one file and keep its time. Archives of several files are not among them."""
SMALLEST_GAIN = 10
"""Part of the bytes that packing saves at least: one tenth. What is encrypted is not smaller than before."""
TINY_FILE = 4096
"""Bytes of a file that packing may make larger."""
MOST_OVERHEAD = 100
"""Bytes that packing adds to a tiny file at most: a header with its name. What malware adds is larger."""
LARGEST_HEADER = 1024
"""Bytes that malware may put into each file. Files that grow by nearly the same few bytes were not appended to."""
PADDING = 32
"""Bytes by which the growth of encrypted files differs: a cipher fills its last block."""


class PackedFiles(NamedTuple):
    """Files that got an ending by being packed."""

    number: int
    number_early: int
    """How many of them had not reached the age at which a rotating group lets files go."""


def find_packed(comparison: Comparison, kept: datetime | None) -> dict[str, PackedFiles]:
    """Return how many files a comparison shows to be packed, by the ending that they got.

    What was modified before `kept` was due to go anyway; None where nothing is.

    What is encrypted is not smaller than before. Tiny files do not become smaller by packing, either: they may grow by
    a few bytes.
    """
    if not comparison.counts.get(Change.Kind.REMOVED) or not comparison.counts.get(Change.Kind.ADDED):
        return {}

    parameters = {
        "comparison": comparison.pk,
        "packers": list(PACKERS),
        "file": EntryType.FILE.value,
        **age_parameters(kept),
    }
    packed = {}
    for ending, number, size_before, size_now, number_early in fetch_all(COUNT_PACKED, parameters):
        is_smaller = size_now * SMALLEST_GAIN <= size_before * (SMALLEST_GAIN - 1)
        is_tiny = size_before <= number * TINY_FILE and size_now <= size_before + number * MOST_OVERHEAD
        if is_smaller or is_tiny:
            packed[ending] = PackedFiles(int(number), int(number_early))
    return packed


def count_grown(comparison: Comparison) -> int:
    """Return how many files were appended to, as logs are.

    Those that grew little do not count when most of them grew by nearly the same few bytes: that is what a header
    before an encrypted content does.
    """
    if not comparison.counts.get(Change.Kind.MODIFIED):
        return 0

    parameters = {
        "comparison": comparison.pk,
        "largest_header": LARGEST_HEADER,
        "padding": PADDING,
        "file": EntryType.FILE.value,
    }
    ((grown_much, grown_little, grown_alike),) = fetch_all(COUNT_GROWN, parameters)
    if grown_alike * 2 > grown_little:
        return int(grown_much)
    return int(grown_much + grown_little)
