-- How many paths below each of the directories had rows of a finding, and have the same content still: other content
-- is another loss. The part says which replicas held the path of a row.
SELECT directory.path, divergence.finding_id, count(*), min(divergence.since)
FROM unnest(%(directories)s::text[]) AS directory(path)
CROSS JOIN LATERAL (
    SELECT lost.path, lost.finding_id, lost.since, lost.versions
    FROM checker_divergence AS lost
    WHERE lost.comparison_id = %(comparison)s AND lost.number IS NULL AND lost.kind = 'lost'
        AND lost.finding_id IS NOT NULL AND is_below(lost.path, directory.path) AND {held} = %(held)s
    OFFSET 0
) AS divergence
JOIN scanner_version AS was ON was.id = divergence.versions[%(previous_position)s]
CROSS JOIN LATERAL (
    SELECT held.type, held.sha256, held.detail
    FROM state_at(%(replica)s, %(sequence)s) AS held
    WHERE left(held.path, 512) = left(divergence.path, 512) AND held.path = divergence.path
    OFFSET 0
) AS now
WHERE (now.type, now.sha256) IS NOT DISTINCT FROM (was.type, was.sha256)
    AND (now.type = %(file)s OR now.detail = was.detail)
GROUP BY directory.path, divergence.finding_id
