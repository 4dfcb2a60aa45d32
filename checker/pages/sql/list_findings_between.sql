-- Which of these runs open findings between replicas concern, and whether as damage: the run that was the newest of its
-- replica when the first of the findings opened, and each later one.
WITH opened AS (
    SELECT
        concerned.replica_id,
        coalesce(finding.evidence -> 'damaged' @> to_jsonb(concerned.replica_id), false) AS is_damaged,
        min(finding.opened_at) AS opened_at
    FROM checker_finding AS finding
    CROSS JOIN LATERAL unnest(finding.concerns) AS concerned (replica_id)
    WHERE finding.state = 'open'
        AND finding.replica_id IS NULL
        AND concerned.replica_id IN (SELECT replica_id FROM scanner_run WHERE id = ANY(%(runs)s::bigint[]))
    GROUP BY 1, 2
), since AS (
    SELECT opened.replica_id, opened.is_damaged, (
        SELECT coalesce(max(compared.sequence), 0)
        FROM scanner_run AS compared
        WHERE compared.replica_id = opened.replica_id
            AND compared.state = 'ingested'
            AND compared.received_at <= opened.opened_at
    ) AS sequence
    FROM opened
)
SELECT run.id, since.is_damaged
FROM since
JOIN scanner_run AS run ON run.replica_id = since.replica_id AND run.sequence >= since.sequence
WHERE run.id = ANY(%(runs)s::bigint[])
