-- Versions that overlap an earlier version of their path, and versions that equal the one that they follow.
--
-- Only what began after the first run can follow an earlier version: it costs what changed, not what exists. OFFSET 0
-- keeps one look into the index for each of those, where a join would pair all versions with all.
SELECT second.path, first.from_seq, second.from_seq, coalesce(first.until_seq = second.from_seq, false)
FROM scanner_version AS second
CROSS JOIN LATERAL (
    SELECT * FROM scanner_version AS earlier
    WHERE earlier.replica_id = %(replica)s
        AND left(earlier.path, 512) = left(second.path, 512) AND earlier.path = second.path
        AND earlier.from_seq < second.from_seq
    OFFSET 0
) AS first
WHERE second.replica_id = %(replica)s AND second.from_seq > %(first_sequence)s
    AND (
        first.until_seq IS NULL
        OR first.until_seq > second.from_seq
        OR first.until_seq = second.from_seq
            AND (first.type, first.size, first.mtime_ns, first.mode, first.uid, first.gid, first.sha256, first.md5,
                first.detail, first.stage)
            IS NOT DISTINCT FROM
            (second.type, second.size, second.mtime_ns, second.mode, second.uid, second.gid, second.sha256, second.md5,
                second.detail, second.stage)
    )
LIMIT %(limit)s
