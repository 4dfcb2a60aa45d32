-- Mark paths that are hidden at the earlier run: ever since their last version ended, no run could look into one of
-- their directories. OFFSET 0 keeps one look into the index for each directory.
UPDATE difference SET hidden_before = true
FROM (
    SELECT below.path, range_agg(unseen.runs) AS runs, min(below.ended) AS ended
    FROM unseen
    CROSS JOIN LATERAL (
        SELECT candidate.path, (
            SELECT max(version.until_seq) FROM scanner_version AS version
            WHERE version.replica_id = %(replica)s
                AND left(version.path, 512) = left(candidate.path, 512) AND version.path = candidate.path
                AND version.from_seq <= %(base)s
        ) AS ended
        FROM difference AS candidate
        WHERE is_below(candidate.path, unseen.path || '/') AND candidate.old_id IS NULL
        OFFSET 0
    ) AS below
    GROUP BY below.path
) AS hidden
WHERE difference.path = hidden.path AND hidden.ended IS NOT NULL
    AND hidden.runs @> int4range(hidden.ended, %(base)s + 1)
