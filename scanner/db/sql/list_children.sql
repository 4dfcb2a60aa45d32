-- A page of what stands directly below a directory in the state at a run, in the order of the paths.
--
-- A loose index scan of version_path: from each child the index is entered anew behind all that lies below it, so
-- that a directory with a million files costs one step. '0' is the character that follows '/'.
-- `directory` is the path of a directory with its slash, and null for an entry of another type.
-- `skip` is the position of the first character behind the parent directory's slash.
WITH RECURSIVE child AS (
    SELECT 1 AS number, first_child.*
    FROM (
        SELECT id, path, type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage, from_seq, until_seq,
            CASE WHEN strpos(substr(path, %(skip)s), '/') > 0
                THEN left(path, %(skip)s - 1 + strpos(substr(path, %(skip)s), '/'))
            END AS directory
        FROM scanner_version
        WHERE replica_id = %(replica)s
            AND from_seq <= %(sequence)s
            AND (until_seq IS NULL OR until_seq > %(sequence)s)
            AND left(path, 512) >= left(%(lower)s, 512) AND path >= %(lower)s
            AND (%(upper)s::text IS NULL OR left(path, 512) <= left(%(upper)s, 512) AND path < %(upper)s)
        ORDER BY left(path, 512), path
        LIMIT 1
    ) AS first_child

    UNION ALL

    SELECT child.number + 1, next_child.*
    FROM child
    CROSS JOIN LATERAL (
        SELECT id, path, type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage, from_seq, until_seq,
            CASE WHEN strpos(substr(path, %(skip)s), '/') > 0
                THEN left(path, %(skip)s - 1 + strpos(substr(path, %(skip)s), '/'))
            END AS directory
        FROM scanner_version
        WHERE replica_id = %(replica)s
            AND from_seq <= %(sequence)s
            AND (until_seq IS NULL OR until_seq > %(sequence)s)
            AND left(path, 512) >= left(coalesce(left(child.directory, -1) || '0', child.path || chr(1)), 512)
            AND path >= coalesce(left(child.directory, -1) || '0', child.path || chr(1))
            AND (%(upper)s::text IS NULL OR left(path, 512) <= left(%(upper)s, 512) AND path < %(upper)s)
        ORDER BY left(path, 512), path
        LIMIT 1
    ) AS next_child
    WHERE child.number < %(limit)s
)
SELECT id, path, type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage, from_seq, until_seq, directory
FROM child
ORDER BY number
