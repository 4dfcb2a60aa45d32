-- Make one change of a removed and an added file that are one file, renamed and changed: the same size and time to the
-- nanosecond, and other content. With the key `directory` the name is the same, too, and other files of its directory
-- moved the same way. With the key `time` no other file that came or went has this time.
WITH leftover AS (
    SELECT change.number, change.path, change.kind, change.old_id, change.new_id, version.size, version.mtime_ns,
        version.sha256, version.from_seq
    FROM found_change AS change
    JOIN scanner_version AS version
        ON version.id = CASE change.kind WHEN 'removed' THEN change.old_id ELSE change.new_id END
    WHERE change.kind IN ('removed', 'added') AND version.type = %(file)s AND version.size > 0
        AND version.mtime_ns IS NOT NULL
), moved_directory AS (
    SELECT DISTINCT directory_of(other) AS old_directory, directory_of(path) AS new_directory
    FROM found_change
    WHERE kind = 'moved' AND NOT departed
), single_time AS (
    SELECT mtime_ns
    FROM leftover
    GROUP BY mtime_ns
    HAVING count(*) FILTER (WHERE kind = 'removed') = 1 AND count(*) FILTER (WHERE kind = 'added') = 1
), pair AS (
    SELECT removed.number AS removed_number, added.number AS added_number, removed.path AS old_path,
        added.path AS new_path, removed.old_id, added.new_id, added.from_seq
    FROM leftover AS removed
    JOIN leftover AS added
        ON added.kind = 'added' AND added.mtime_ns = removed.mtime_ns AND added.size = removed.size
        AND added.sha256 IS DISTINCT FROM removed.sha256
    WHERE removed.kind = 'removed'
        AND CASE %(key)s
            WHEN 'directory' THEN
                name_of(removed.path) = name_of(added.path)
                AND (directory_of(removed.path), directory_of(added.path)) IN (
                    SELECT old_directory, new_directory FROM moved_directory
                )
            ELSE removed.mtime_ns IN (SELECT mtime_ns FROM single_time)
        END
), judged AS (
    -- The collector knows a renamed file again, and whether anybody wrote to it.
    SELECT pair.*,
        CASE
            WHEN note.notes -> 'confirmed' ->> 'ctime_same' = 'true'
                AND note.notes -> 'confirmed' ->> 'against' = note.previous_run
            THEN 'corrupted'
            ELSE 'rewritten'
        END AS kind
    FROM pair
    LEFT JOIN run_note AS note ON note.path = pair.new_path AND note.sequence = pair.from_seq
)
UPDATE found_change
SET kind = side.kind, old_id = side.old_id, new_id = side.new_id, other = side.other, departed = side.departed
FROM (
    SELECT removed_number AS number, kind, old_id, new_id, new_path AS other, true AS departed FROM judged
    UNION ALL
    SELECT added_number, kind, old_id, new_id, old_path, false FROM judged
) AS side
WHERE found_change.number = side.number
