"""The SQL of what looks like ransomware: many files that come back under one ending with another content."""

from __future__ import annotations

from typing import NamedTuple

from checker.models import Comparison
from scanner.db.entries import fetch_all

# a.jpg → a.jpg.locked, or a.jpg → a.locked, with other content: what encrypting malware leaves. What is appended may
# have several parts (a.jpg.id-1A2B.[pay@example.org].locked): each of its dots may be where it begins. The last part
# must be rare: logs that are rotated under a date and packed end in what many had before.
ENDINGS = """
WITH gone AS (
    SELECT change.path, regexp_replace(change.path, '\\.[^./]+$', '') AS stem, old.sha256
    FROM checker_change AS change JOIN scanner_version AS old ON old.id = change.old_id AND old.type = 1
    WHERE change.comparison_id = %(comparison)s AND change.kind = 'removed'
), come AS (
    SELECT change.path, array_to_string(parts[:at], '.') AS stem, array_to_string(parts[at + 1:], '.') AS ending,
        at = cardinality(parts) - 1 AS last, new.sha256
    FROM checker_change AS change JOIN scanner_version AS new ON new.id = change.new_id AND new.type = 1
    CROSS JOIN LATERAL (SELECT string_to_array(change.path, '.') AS parts) AS split
    CROSS JOIN LATERAL generate_series(greatest(1, cardinality(parts) - 6), cardinality(parts) - 1) AS at
    WHERE change.comparison_id = %(comparison)s AND change.kind = 'added'
), cut AS (
    SELECT * FROM come WHERE ending <> '' AND strpos(ending, '/') = 0 AND stem <> '' AND right(stem, 1) <> '/'
), renamed AS (
    SELECT cut.ending, cut.path FROM cut JOIN gone ON gone.path = cut.stem AND gone.sha256 <> cut.sha256
    UNION SELECT cut.ending, cut.path FROM cut JOIN gone ON gone.stem = cut.stem AND gone.sha256 <> cut.sha256
    WHERE cut.last AND NOT starts_with(cut.path, gone.path || '.')
)
SELECT ending, count(*) FROM renamed GROUP BY ending HAVING count(*) >= %(least)s
ORDER BY count(*) DESC, length(ending), ending LIMIT 10
"""
HAD_ENDING = """
SELECT count(*) FROM (
    SELECT FROM scanner_version AS version WHERE version.replica_id = %(replica)s AND version.type = 1
        AND version.from_seq <= %(sequence)s AND (version.until_seq IS NULL OR version.until_seq > %(sequence)s)
        AND right(version.path, length(%(ending)s::text) + 1) = '.' || %(ending)s::text LIMIT %(most)s) AS had
"""


class Ending(NamedTuple):
    """An ending that files got with another content."""

    name: str
    number: int
    """Files that got it."""
    had: int
    """Files that ended in its last part before."""


def new_ending(comparison: Comparison, least: int) -> Ending | None:
    """An ending that at least `least` files got with another content, while fewer ended in its last part before.

    So neither a single file from before nor the first minutes of an attack hide the rest, and what is usual is no sign.
    """
    assert comparison.base is not None
    for ending, count in fetch_all(ENDINGS, {"comparison": comparison.pk, "least": least}):
        given = {
            "replica": comparison.replica_id,
            "sequence": comparison.base.sequence,
            "ending": ending.rpartition(".")[2],
            "most": count,
        }
        had = int(fetch_all(HAD_ENDING, given)[0][0])
        if had < count:
            return Ending(ending, int(count), had)
    return None
