-- A finding speaks for the replicas that it concerns. What is missing or damaged on one more replica is a finding of
-- its own, whether the first one was accepted or not. Patterns are compared, since many divergences have few of them.
UPDATE {gathered} AS divergence
SET finding_id = NULL
FROM (
    SELECT finding_id, cells, judged
    FROM {gathered}
    WHERE finding_id IS NOT NULL AND current
    GROUP BY finding_id, cells, judged
) AS pattern
JOIN checker_finding AS finding ON finding.id = pattern.finding_id
WHERE divergence.finding_id = pattern.finding_id
    AND divergence.current
    AND divergence.cells = pattern.cells
    AND divergence.judged = pattern.judged
    AND EXISTS (
        SELECT
        FROM unnest(%(positions)s::integer[], %(replicas)s::integer[]) AS voter (position, replica_id)
        WHERE (
                substr(pattern.cells, voter.position, 1) = %(missing)s
                OR substr(pattern.judged, voter.position, 1) = %(damaged_copy)s
            )
            AND NOT voter.replica_id = ANY(finding.concerns)
    )
