"""Say what each kind of change is: how it is stored and shown, how grave it is, and which rule finds it.

`compare` makes one CASE of all conditions: a path gets the first kind whose condition holds. In a condition

- `difference` is a row of the temporary table `difference`, a path that differs;
- `last_read` is the last version of the path that was read, which began by the earlier run;
- `new` is its version at the later run;
- `note` is what the notes say of the path in the run in which `new` began.

`last_read` and `new` are NULL where there is no such version. A new kind is an entry of KINDS here, a value of
`Change.Kind` and a section in docs/en/everyday.md and docs/ru/everyday.md; tests/checker/changes/test_kinds.py asks for
the rest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from checker.models import Change, Finding

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
"""Empty files have it. They are never said to have moved."""
CHANGED_WHILE_READ = "ECHANGED"
"""Error of a file that changed during each of three reads."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of the table of kinds in the documentation."""

    condition: str
    """SQL. Empty where no condition on the path alone decides."""
    description: str
    """Before → now, in the English words of docs/en/everyday.md."""


@dataclass(frozen=True, kw_only=True)
class ChangeKind:
    """A kind of change."""

    value: Change.Kind
    """What is stored, with its label."""
    sign: str
    """One character for it, so that colour alone does not tell kinds apart."""
    rules: tuple[Rule, ...]
    """Each of them is enough."""
    severity: Finding.Severity | None = None
    """How grave it is whatever the data are; None when the policy of the group decides."""

    @property
    def label(self) -> str:
        """The kind in words, in the language of the reader."""
        return str(self.value.label)

    @property
    def anchor(self) -> str:
        """The anchor under which docs/*/everyday.md explains the kind."""
        return f"change-{self.value.value}"


SAME_CONTENT = """(
    new.type = last_read.type AND new.sha256 IS NOT DISTINCT FROM last_read.sha256
    AND (new.type = %(file)s OR new.detail = last_read.detail)
)"""
"""The detail of a file names another path of a hard link: that is no content."""
EARLIER_CONTENT = """EXISTS (
    SELECT FROM scanner_version AS earlier
    WHERE earlier.replica_id = %(replica)s
        AND left(earlier.path, 512) = left(difference.path, 512) AND earlier.path = difference.path
        AND earlier.from_seq < last_read.from_seq
        AND earlier.type = %(file)s AND earlier.sha256 = new.sha256
)"""
MEDIUM_ERRORS = ("EBADMSG", "EIO", "EUCLEAN", "EUNSTABLE")
"""Errors of a damaged medium, or of the way to it. EBADMSG and EUCLEAN are what file systems say when their own
checksums do not match."""
AFTER_MEDIUM_ERROR = """(
    difference.old_type = %(error)s
    AND (SELECT failed.detail FROM scanner_version AS failed WHERE failed.id = difference.old_id)
        = ANY(%(medium_errors)s)
)"""
"""The medium did not give the content, and then gave another one, while no time says that anybody wrote it."""
CONFIRMED_DAMAGE = """(
    note.notes -> 'confirmed' ->> 'ctime_same' = 'true'
    AND note.notes -> 'confirmed' ->> 'against' = note.previous_run
)"""
"""Two more reads agreed, and the ctime is that of the run before. An older run proves nothing of the time since."""

UNKNOWN = ChangeKind(
    value=Change.Kind.UNKNOWN,
    sign="?",
    rules=(
        Rule(
            condition="difference.hidden_now AND NOT difference.out_of_scope",
            description="anything → below a directory that cannot be listed, or behind a mount that was not entered",
        ),
    ),
)
OUT_OF_SCOPE = ChangeKind(
    value=Change.Kind.OUT_OF_SCOPE,
    sign="∅",
    rules=(
        Rule(
            condition="difference.out_of_scope",
            description="anything → excluded, since excludes or options changed",
        ),
    ),
)
UNREADABLE = ChangeKind(
    value=Change.Kind.UNREADABLE,
    sign="?",
    severity=Finding.Severity.WARNING,
    rules=(Rule(condition="new.type = %(error)s", description="anything → an error, or another error"),),
)
READABLE = ChangeKind(
    value=Change.Kind.READABLE,
    sign="✓",
    rules=(
        Rule(
            condition="difference.old_type = %(error)s AND difference.new_id IS NULL "
            "AND difference.old_stage IN ('list', 'stat') AND difference.has_entries_below",
            description="a directory that could not be listed → one with entries",
        ),
        Rule(
            # A mount point that is not entered covers the directory: that is no reading of it.
            condition="difference.old_type = %(error)s AND difference.new_id IS NOT NULL "
            "AND NOT (new.type = %(special)s AND new.detail = 'mount') "
            f"AND (last_read.id IS NULL OR {SAME_CONTENT})",
            description="error → read again, content as last known or never known",
        ),
    ),
)
REMOVED = ChangeKind(
    value=Change.Kind.REMOVED,
    sign="−",
    rules=(Rule(condition="difference.new_id IS NULL", description="there, or not readable → gone"),),
)
ADDED = ChangeKind(
    value=Change.Kind.ADDED,
    sign="+",
    rules=(Rule(condition="last_read.id IS NULL", description="not there → there"),),
)
RETYPED = ChangeKind(
    value=Change.Kind.RETYPED,
    sign="⇄",
    rules=(
        Rule(
            condition="new.type <> last_read.type OR new.type <> %(file)s AND new.detail <> last_read.detail",
            description="another type (file, link, special), or another link target",
        ),
    ),
)
TOUCHED = ChangeKind(
    value=Change.Kind.TOUCHED,
    sign="·",
    rules=(Rule(condition=SAME_CONTENT, description="same content, other mtime, mode, owner or hard link"),),
)
REVERTED = ChangeKind(
    value=Change.Kind.REVERTED,
    sign="↶",
    rules=(
        Rule(
            condition=EARLIER_CONTENT,
            description="other content, equal to an earlier version of this path (restored, or rolled back)",
        ),
    ),
)
MODIFIED = ChangeKind(
    value=Change.Kind.MODIFIED,
    sign="≠",
    rules=(
        Rule(
            condition="new.mtime_ns IS NULL OR last_read.mtime_ns IS NULL OR new.mtime_ns <> last_read.mtime_ns",
            description="other content, other mtime",
        ),
    ),
)
CORRUPTED = ChangeKind(
    value=Change.Kind.CORRUPTED,
    sign="‼",
    severity=Finding.Severity.CRITICAL,
    rules=(
        Rule(
            condition=CONFIRMED_DAMAGE,
            description="other content, same mtime, ctime unchanged and confirmed by two more reads: the bytes changed "
            "beneath the file system",
        ),
        Rule(
            condition=AFTER_MEDIUM_ERROR,
            description="an error of the medium → read again with other content than last read, same mtime",
        ),
        # `pair_altered.sql` finds them among the removed and the added.
        Rule(
            condition="",
            description="one removed and one added path with the same size and mtime, other content, ctime unchanged "
            "and confirmed: renamed, and the bytes changed",
        ),
    ),
)
REWRITTEN = ChangeKind(
    value=Change.Kind.REWRITTEN,
    sign="!",
    severity=Finding.Severity.WARNING,
    rules=(
        # `pair_altered.sql` finds them among the removed and the added.
        Rule(
            condition="",
            description="one removed and one added path with the same size and mtime and other content: renamed, and "
            "written or damaged",
        ),
        Rule(
            condition="true",
            description="other content, same mtime, ctime changed, not known or proving nothing: someone wrote and "
            "kept the mtime, or damage",
        ),
    ),
)
MOVED = ChangeKind(
    value=Change.Kind.MOVED,
    sign="→",
    rules=(
        # `pair_moved.sql` finds them among the removed and the added.
        Rule(
            condition="",
            description="one removed and one added path with the same content (not empty); same name first, then same "
            "directory",
        ),
    ),
)

KINDS = (
    UNKNOWN,
    OUT_OF_SCOPE,
    UNREADABLE,
    READABLE,
    REMOVED,
    ADDED,
    RETYPED,
    TOUCHED,
    REVERTED,
    MODIFIED,
    CORRUPTED,
    REWRITTEN,
    MOVED,
)
"""In the order in which their conditions are tried. REWRITTEN fits whatever remains."""

KIND_OF_VALUE = {kind.value.value: kind for kind in KINDS}


def kind_of(value: str) -> ChangeKind:
    """Return the kind that is stored as `value`."""
    return KIND_OF_VALUE[value]


def kind_expression() -> str:
    """Return the SQL expression that gives a path its kind."""
    branches = []
    for kind in KINDS:
        # `pair_moved.sql` finds what has no condition of its own.
        conditions = [rule.condition for rule in kind.rules if rule.condition]
        branches += [f"WHEN {condition} THEN '{kind.value.value}'" for condition in conditions]

    return "CASE\n" + "\n".join(branches) + "\nEND"
