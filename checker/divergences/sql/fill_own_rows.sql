-- The paths below some directories that have had rows of their own.
INSERT INTO diverging_own
SELECT own.path
FROM unnest(%(directories)s::text[]) AS directory(path)
CROSS JOIN LATERAL (
    SELECT divergence.path FROM checker_divergence AS divergence
    WHERE divergence.comparison_id = %(comparison)s AND divergence.number IS NULL
        AND is_below(divergence.path, directory.path)
    OFFSET 0
) AS own;

ANALYZE diverging_own
