-- Divergences in the order of their paths: rows of their own, and the paths for which missing directories stand, as the
-- first of those that hold the directory has them. A parameter that is NULL does not filter.
SELECT divergence.path, divergence.kind, divergence.verdict, divergence.cells, divergence.judged,
    divergence.others::json, divergence.alike, divergence.current, divergence.since, finding.uuid
FROM (
    (
        SELECT path, kind, verdict, cells, judged, others, alike, current, since, finding_id
        FROM {table} AS divergence
        WHERE number IS NULL
            AND (%(comparison)s IS NULL OR comparison_id = %(comparison)s)
            AND (%(finding)s IS NULL OR finding_id = %(finding)s)
            AND (%(kind)s IS NULL OR kind = %(kind)s)
            AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s::text[]))
            AND (%(verdict)s IS NULL OR verdict = %(verdict)s)
            AND (%(position)s IS NULL OR substr(cells, %(position)s, 1) IN ('-', '?', '!', '>')
                OR substr(judged, %(position)s, 1) IN ('d', 'o', 'u'))
            AND (%(lower)s IS NULL OR left(path, 512) >= left(%(lower)s, 512) AND path >= %(lower)s)
            AND (%(upper)s IS NULL OR left(path, 512) <= left(%(upper)s, 512) AND path < %(upper)s)
            AND (%(search)s IS NULL OR path LIKE %(search)s)
            AND (%(exact)s IS NULL OR left(path, 512) = left(%(exact)s, 512) AND path = %(exact)s)
            AND (%(among)s::text[] IS NULL
                OR left(path, 512) = ANY(%(beginnings)s::text[]) AND path = ANY(%(among)s::text[]))
            AND (%(name_offset)s IS NULL OR strpos(substr(path, %(name_offset)s), '/') = 0)
        ORDER BY left(path, 512), path
        LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT member.path, kind, verdict, cells, judged, others, alike, current, since, finding_id
        FROM (
            SELECT missing.*, run.replica_id, run.sequence
            FROM {table} AS missing
            JOIN scanner_run AS run ON run.id = missing.holder
            WHERE missing.number IS NOT NULL
                AND (%(comparison)s IS NULL OR missing.comparison_id = %(comparison)s)
                AND (%(finding)s IS NULL OR missing.finding_id = %(finding)s)
                AND (%(kind)s IS NULL OR missing.kind = %(kind)s)
                AND (%(kinds)s::text[] IS NULL OR missing.kind = ANY(%(kinds)s::text[]))
                AND (%(verdict)s IS NULL OR missing.verdict = %(verdict)s)
                AND (%(position)s IS NULL OR substr(missing.cells, %(position)s, 1) IN ('-', '?', '!', '>')
                    OR substr(missing.judged, %(position)s, 1) IN ('d', 'o', 'u'))
        ) AS directory
        CROSS JOIN LATERAL (
            SELECT held.path
            FROM state_at(directory.replica_id, directory.sequence) AS held
            WHERE is_below(held.path, directory.path)
                AND held.type <> %(error)s AND (held.type <> %(special)s OR held.detail <> 'mount')
                AND (%(lower)s IS NULL OR left(held.path, 512) >= left(%(lower)s, 512) AND held.path >= %(lower)s)
                AND (%(upper)s IS NULL OR left(held.path, 512) <= left(%(upper)s, 512) AND held.path < %(upper)s)
                AND (%(search)s IS NULL OR held.path LIKE %(search)s)
                AND (%(exact)s IS NULL OR left(held.path, 512) = left(%(exact)s, 512) AND held.path = %(exact)s)
                AND (%(among)s::text[] IS NULL
                    OR left(held.path, 512) = ANY(%(beginnings)s::text[]) AND held.path = ANY(%(among)s::text[]))
                AND (%(name_offset)s IS NULL OR strpos(substr(held.path, %(name_offset)s), '/') = 0)
                AND NOT EXISTS (
                    SELECT FROM {table} AS own
                    WHERE own.comparison_id = directory.comparison_id
                        AND left(own.path, 512) = left(held.path, 512) AND own.path = held.path
                )
            ORDER BY left(held.path, 512), held.path
            LIMIT %(limit)s
        ) AS member
        ORDER BY left(member.path, 512), member.path
        LIMIT %(limit)s
    )
) AS divergence
LEFT JOIN checker_finding AS finding ON finding.id = divergence.finding_id
ORDER BY left(divergence.path, 512), divergence.path
LIMIT %(limit)s
