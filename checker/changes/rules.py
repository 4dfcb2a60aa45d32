"""What becomes of a path between two complete runs of a replica: one table, first rule that fits.

`compare` makes its CASE from the conditions; the documentation shows the words. In the conditions `row` is a path that
differs, `last` its last version that was read, begun at or before the earlier run, `now` its version at the later
run, `told` what the notes say of it in the run in which `now` began.
"""

from __future__ import annotations

from typing import NamedTuple

from checker.models import Change

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing: empty files are never said to have moved."""
CHANGED_WHILE_READ = "ECHANGED"
"""Error of a file that changed during each of three reads."""


class Rule(NamedTuple):
    """One line of the table."""

    kind: Change.Kind
    condition: str
    """SQL."""
    words: str
    """English, before → now, as docs/en/everyday.md has it."""


SAME_CONTENT = """(now.type = last.type AND now.sha256 IS NOT DISTINCT FROM last.sha256
    AND (now.type = 1 OR now.detail = last.detail))"""
EARLIER = """EXISTS (SELECT FROM scanner_version AS earlier WHERE earlier.replica_id = %(replica)s
    AND left(earlier.path, 512) = left(row.path, 512) AND earlier.path = row.path AND earlier.from_seq < last.from_seq
    AND earlier.type = 1 AND earlier.sha256 = now.sha256)"""
CONFIRMED = """(told.notes -> 'confirmed' ->> 'ctime_same' = 'true'
    AND told.notes -> 'confirmed' ->> 'against' = told.against)"""

RULES = (
    Rule(
        Change.Kind.UNKNOWN,
        "row.hidden_now",
        "anything → below a directory that cannot be listed, or a mount that is gone",
    ),
    Rule(Change.Kind.OUT_OF_SCOPE, "row.left_scope", "anything → excluded, since excludes or options changed"),
    Rule(Change.Kind.UNREADABLE, "now.type = 2", "anything → an error, or another error"),
    Rule(
        Change.Kind.READABLE,
        "row.was_type = 2 AND row.now_id IS NULL AND row.was_stage IN ('list', 'stat') AND row.entries_below",
        "a directory that could not be listed → one with entries",
    ),
    Rule(Change.Kind.REMOVED, "row.now_id IS NULL", "there, or not readable → gone"),
    Rule(
        Change.Kind.READABLE,
        f"row.was_type = 2 AND (last.id IS NULL OR {SAME_CONTENT})",
        "error → read again, content as last known or never known",
    ),
    Rule(Change.Kind.ADDED, "last.id IS NULL", "not there → there"),
    Rule(
        Change.Kind.RETYPED,
        "now.type <> last.type OR now.type <> 1 AND now.detail <> last.detail",
        "another type (file, link, special), or another link target",
    ),
    Rule(Change.Kind.TOUCHED, SAME_CONTENT, "same content, other mtime, mode, owner or hard link"),
    Rule(
        Change.Kind.REVERTED,
        EARLIER,
        "other content, equal to an earlier version of this path (restored, or rolled back)",
    ),
    Rule(
        Change.Kind.MODIFIED,
        "now.mtime_ns IS NULL OR last.mtime_ns IS NULL OR now.mtime_ns <> last.mtime_ns",
        "other content, other mtime",
    ),
    Rule(
        Change.Kind.CORRUPTED,
        CONFIRMED,
        "other content, same mtime, ctime unchanged and confirmed by two more reads: the bytes changed beneath the "
        "file system",
    ),
    Rule(
        Change.Kind.REWRITTEN,
        "true",
        "other content, same mtime, ctime changed, not known or proving nothing: someone wrote and kept the mtime, or "
        "damage",
    ),
)
"""In the order in which they are tried. `moved` is decided afterwards, of what is `removed` and `added`."""

MOVED = Rule(
    Change.Kind.MOVED,
    "",
    "one removed and one added path with the same content (not empty); same name first, then same folder",
)
