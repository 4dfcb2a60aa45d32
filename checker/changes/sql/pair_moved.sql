-- Make one move of a removed and an added path with the same content and the same key: the name, the directory, or
-- nothing more. Several of one key are paired in the order of their paths.
WITH moving AS (
    SELECT number, path, kind, moving, old_id, new_id,
        CASE %(key)s WHEN 'name' THEN name_of(path) WHEN 'directory' THEN directory_of(path) ELSE '' END AS key
    FROM found_change
    WHERE kind IN ('removed', 'added') AND moving <> decode(%(empty_sha256)s, 'hex')
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY kind, moving, key ORDER BY path) AS rank FROM moving
), pair AS (
    SELECT removed.number AS removed_number, added.number AS added_number, removed.path AS old_path,
        added.path AS new_path, removed.old_id, added.new_id
    FROM ranked AS removed
    JOIN ranked AS added USING (moving, key, rank)
    WHERE removed.kind = 'removed' AND added.kind = 'added'
)
UPDATE found_change
SET kind = 'moved', old_id = side.old_id, new_id = side.new_id, other = side.other, departed = side.departed
FROM (
    SELECT removed_number AS number, old_id, new_id, new_path AS other, true AS departed FROM pair
    UNION ALL
    SELECT added_number, old_id, new_id, old_path, false FROM pair
) AS side
WHERE found_change.number = side.number
