"""What lies in a directory, as SQL."""

from __future__ import annotations

from checker.models import Branch

LAST = "repeat(chr(1114111), 512)"
"""No 512 characters come after these."""


def below(path: str, directory: str) -> str:
    """That the path of one row lies below the directory of another, which ends with a slash or is empty; '0' follows
    '/'."""
    upper = f"CASE {directory}.path WHEN '' THEN {LAST} ELSE left(left({directory}.path, -1) || '0', 512) END"
    return f"""left({path}.path, 512) >= left({directory}.path, 512) AND left({path}.path, 512) <= {upper}
        AND {path}.path <> {directory}.path AND starts_with({path}.path, {directory}.path)"""


MEMBER = f"""FROM scanner_version AS held WHERE held.replica_id = {{0}}.replica_id AND held.from_seq <= {{0}}.sequence
    AND (held.until_seq IS NULL OR held.until_seq > {{0}}.sequence) AND {below("held", "{0}")}
    AND held.type <> 2 AND (held.type <> 4 OR held.detail <> 'mount')"""
"""The entries below the directory `path` in the state of `replica_id` at `sequence`, as `held`."""
LEVELS = f"generate_series(0, greatest(0, least(cardinality(parts) - 1, {Branch.DEPTH})))"
"""The depths of the directories above a path, of which `parts` are the names; that of the root is 0."""
ABOVE = "CASE {0} WHEN 0 THEN '' ELSE array_to_string(parts[1:{0}], '/') || '/' END"
"""The directory at a depth."""
