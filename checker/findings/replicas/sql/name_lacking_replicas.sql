-- Let open findings of missing paths name the replicas that lack some of them, and how many.
UPDATE checker_finding AS finding
SET evidence = finding.evidence || jsonb_build_object('lacking', now.lacking)
FROM (
    SELECT
        finding_id,
        jsonb_agg(jsonb_build_object('name', name, 'number', number) ORDER BY position) AS lacking
    FROM (
        SELECT pattern.finding_id, replica.position, replica.name, sum(pattern.number) AS number
        FROM (
            SELECT finding_id, cells, sum(coalesce(number, 1)) AS number
            FROM checker_divergence
            WHERE comparison_id = %(comparison)s AND finding_id IS NOT NULL AND kind = 'lost'
            GROUP BY finding_id, cells
        ) AS pattern
        JOIN unnest(%(positions)s::integer[], %(names)s::text[]) AS replica (position, name)
            ON substr(pattern.cells, replica.position, 1) = %(missing)s
        GROUP BY pattern.finding_id, replica.position, replica.name
    ) AS replica_count
    GROUP BY finding_id
) AS now
WHERE finding.id = now.finding_id
    AND finding.state = 'open'
    AND finding.kind = 'lost'
    AND finding.evidence -> 'lacking' IS DISTINCT FROM now.lacking
