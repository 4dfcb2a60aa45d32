-- Add what was hidden at the earlier run and is neither there nor hidden at the later one: it went while nobody could
-- see it, so that none of its versions ended between the two.
WITH listed_again AS (
    SELECT path FROM unseen WHERE runs @> %(base)s::int AND NOT runs @> %(run)s::int
), below AS (
    SELECT version.path,
        max(version.until_seq) FILTER (WHERE version.from_seq <= %(base)s) AS ended,
        bool_or(version.until_seq IS NULL OR version.until_seq > %(run)s) AS is_there
    FROM listed_again
    CROSS JOIN LATERAL (
        SELECT held.path, held.from_seq, held.until_seq
        FROM scanner_version AS held
        WHERE held.replica_id = %(replica)s AND held.from_seq <= %(run)s
            AND is_below(held.path, listed_again.path || '/')
        OFFSET 0
    ) AS version
    GROUP BY version.path
), hidden AS (
    SELECT below.path, below.ended, range_agg(unseen.runs) AS runs
    FROM below
    JOIN unseen ON starts_with(below.path, unseen.path || '/')
    WHERE NOT below.is_there AND below.ended <= %(base)s
    GROUP BY below.path, below.ended
)
INSERT INTO difference (path, hidden_before, hidden_now, out_of_scope, has_entries_below)
SELECT path, true, false, false, false
FROM hidden
WHERE runs @> int4range(ended, %(base)s + 1) AND NOT runs @> int4range(ended, %(run)s + 1)
