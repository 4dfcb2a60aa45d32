-- Those of the directories that hold one of the extra contents.
SELECT DISTINCT directory.path
FROM unnest(%(directories)s::text[]) AS directory(path)
CROSS JOIN LATERAL (
    SELECT held.sha256
    FROM state_at(%(replica)s, %(sequence)s) AS held
    WHERE is_below(held.path, directory.path) AND held.sha256 IS NOT NULL
    OFFSET 0
) AS held
JOIN diverging_extra USING (sha256)
