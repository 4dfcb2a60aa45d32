-- Open findings that stand for another number of paths than before.
UPDATE checker_finding AS finding
SET number = counted.number, last_run_id = %(run)s
FROM (
    SELECT finding_id, sum(coalesce(number, 1)) AS number
    FROM checker_divergence
    WHERE comparison_id = %(comparison)s AND finding_id IS NOT NULL
    GROUP BY finding_id
) AS counted
WHERE finding.id = counted.finding_id AND finding.state = 'open' AND finding.number <> counted.number
