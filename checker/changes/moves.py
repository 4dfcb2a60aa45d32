"""The SQL that makes one move of a path that went and one that came with the same content."""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from checker.changes.rules import EMPTY

NAME = "right(path, strpos(reverse(path), '/') - 1)"
FOLDER = "left(path, length(path) - strpos(reverse(path), '/') + 1)"
KEYS = (
    f"CASE WHEN strpos(path, '/') > 0 THEN {NAME} ELSE path END",
    f"CASE WHEN strpos(path, '/') > 0 THEN {FOLDER} ELSE '' END",
    "''",
)
"""By what a path that went is paired with one that came: the name, the folder, then nothing but the content."""
MOVE = f"""
WITH moving AS (
    SELECT number, path, kind, moving, old_id, new_id, {{key}} AS key FROM compared_change
    WHERE kind IN ('removed', 'added') AND moving <> '\\x{EMPTY}'
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY kind, moving, key ORDER BY path) AS rank FROM moving
), pair AS (
    SELECT gone.number AS gone, come.number AS come, gone.path AS from_path, come.path AS to_path, gone.old_id,
        come.new_id
    FROM ranked AS gone JOIN ranked AS come USING (moving, key, rank)
    WHERE gone.kind = 'removed' AND come.kind = 'added'
)
UPDATE compared_change AS change
SET kind = 'moved', old_id = side.old_id, new_id = side.new_id, other = side.other, departed = side.departed
FROM (SELECT gone AS number, old_id, new_id, to_path AS other, true AS departed FROM pair
    UNION ALL SELECT come, old_id, new_id, from_path, false FROM pair) AS side
WHERE change.number = side.number
"""
