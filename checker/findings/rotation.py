"""Say what is expected of rotating data: files stay until their age, and new ones come in each interval."""

from __future__ import annotations

from datetime import datetime, timedelta

from checker.models import Change, Comparison
from scanner.db.sql import fetch_all, load_statements
from scanner.format.entry_type import EntryType
from scanner.intervals import grace
from scanner.models import Group, Run

statement = load_statements(__file__)

HAS_RENEWED_FILE = statement("has_renewed_file")
FIND_LAST_RUN_WITH_NEW_FILE = statement("find_last_run_with_new_file")

# A dump of data that did not change has the content of the one before, so it counts as moved. But it is a new file when
# its time is newer, which no renaming makes it. So is a file that takes the name of an older one, as dumps that are
# named after the day of the week do.
RENEWING_KINDS = (Change.Kind.MOVED, Change.Kind.MODIFIED, Change.Kind.REVERTED, Change.Kind.TOUCHED)


def kept_until(group: Group, ended_at: datetime) -> datetime | None:
    """Return the moment after which a file must have been modified to be removed too early by a run.

    None where a removal says nothing of age: the group does not rotate, or keeps files for no set time.
    """
    if group.policy != Group.Policy.ROTATING or group.keep_days is None:
        return None
    return ended_at - timedelta(days=group.keep_days)


def new_file_due(group: Group, last_new_file: datetime) -> datetime:
    """Return when a rotating group should have had the next new file after the last one."""
    return last_new_file + group.expected_interval + grace(group.expected_interval)


def brings_new_file(comparison: Comparison) -> bool:
    """Return whether a comparison brought a new file."""
    if comparison.counts.get(Change.Kind.ADDED):
        return True

    # Most comparisons changed nothing of the kind, and need no query.
    if not any(comparison.counts.get(kind) for kind in RENEWING_KINDS):
        return False

    parameters = {"comparison": comparison.pk, "renewing_kinds": _renewing_kinds(), "file": EntryType.FILE.value}
    return bool(fetch_all(HAS_RENEWED_FILE, parameters)[0][0])


def last_run_with_new_file(comparison: Comparison) -> Run | None:
    """Return the run before the comparison's that last brought a new file, or the first run when none did since."""
    parameters = {
        "replica": comparison.replica_id,
        "sequence": comparison.run.sequence,
        "renewing_kinds": _renewing_kinds(),
        "file": EntryType.FILE.value,
    }
    rows = fetch_all(FIND_LAST_RUN_WITH_NEW_FILE, parameters)
    if rows:
        return Run.objects.get(pk=rows[0][0])

    first_comparisons = Comparison.objects.filter(replica=comparison.replica_id, adjacent=True, base=None)
    first = first_comparisons.select_related("run").first()
    return first.run if first else None


def _renewing_kinds() -> list[str]:
    return [kind.value for kind in RENEWING_KINDS]
