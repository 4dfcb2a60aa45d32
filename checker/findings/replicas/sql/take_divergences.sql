-- Make the divergences that select_divergences selects the findings' own, each the one of its branch. Of each finding
-- come back the positions at which a path is not as it should be.
WITH taken AS (
    UPDATE {gathered} AS divergence
    SET finding_id = branch.finding_id
    FROM unnest(%(paths)s::text[], %(folded)s::boolean[], %(findings)s::bigint[]) AS branch (path, folded, finding_id)
    WHERE divergence.comparison_id = %(comparison)s
        AND divergence.kind = %(kind)s
        AND divergence.verdict <> %(damaged)s
        AND divergence.current
        AND divergence.finding_id IS NULL
        AND (divergence.path = branch.path OR (branch.folded AND starts_with(divergence.path, branch.path)))
    RETURNING branch.finding_id, divergence.cells, divergence.judged
), pattern AS (
    -- Many divergences have few patterns.
    SELECT DISTINCT finding_id, cells, judged FROM taken
)
SELECT finding_id, array_agg(DISTINCT position ORDER BY position)
FROM pattern
CROSS JOIN generate_series(1, length(cells)) AS position
WHERE substr(cells, position, 1) = %(missing)s
    OR substr(judged, position, 1) = ANY(%(deviating)s::text[])
GROUP BY finding_id
