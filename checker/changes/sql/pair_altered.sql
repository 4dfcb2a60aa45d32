-- Make one change of a removed and an added file that are one file, renamed and changed: the same size and time to the
-- nanosecond, and other content. With the key `note` the collector knew the file again by its inode, and named the path
-- that it had; where two files name one path, neither is believed. With the key `directory` the name is the same, too,
-- and other files of its directory moved the same way. With the key `time` no other file that came or went has this
-- time.
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
), expected AS MATERIALIZED (
    -- Where a removed file would be now. Joined first, so that only pairs of one name are tried: of files that all have
    -- one size and time there may be as many pairs as the square of their number.
    SELECT removed.*, moved_directory.new_directory
    FROM leftover AS removed
    JOIN moved_directory ON moved_directory.old_directory = directory_of(removed.path)
    WHERE removed.kind = 'removed' AND %(key)s = 'directory'
), alike AS (
    SELECT expected.number AS removed_number, added.number AS added_number
    FROM expected
    JOIN leftover AS added
        ON directory_of(added.path) = expected.new_directory AND name_of(added.path) = name_of(expected.path)
        AND added.mtime_ns = expected.mtime_ns AND added.size = expected.size
    WHERE added.kind = 'added'
    UNION ALL
    SELECT removed.number, min(added.number)
    FROM leftover AS added
    JOIN run_note AS note ON note.path = added.path AND note.sequence = added.from_seq
    JOIN leftover AS removed
        ON removed.path = note.notes -> 'confirmed' ->> 'was_path' AND removed.mtime_ns = added.mtime_ns
    WHERE added.kind = 'added' AND removed.kind = 'removed' AND %(key)s = 'note'
        AND note.notes -> 'confirmed' ->> 'against' = note.previous_run
    GROUP BY removed.number
    HAVING count(*) = 1
    UNION ALL
    -- Two rows of one time are one removed and one added file.
    SELECT min(number) FILTER (WHERE kind = 'removed'), min(number) FILTER (WHERE kind = 'added')
    FROM leftover
    WHERE %(key)s = 'time'
    GROUP BY mtime_ns
    HAVING count(*) FILTER (WHERE kind = 'removed') = 1 AND count(*) FILTER (WHERE kind = 'added') = 1
), pair AS (
    SELECT removed.number AS removed_number, added.number AS added_number, removed.path AS old_path,
        added.path AS new_path, removed.old_id, added.new_id, added.from_seq
    FROM alike
    JOIN leftover AS removed ON removed.number = alike.removed_number
    JOIN leftover AS added ON added.number = alike.added_number
    WHERE added.size = removed.size AND added.sha256 IS DISTINCT FROM removed.sha256
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
