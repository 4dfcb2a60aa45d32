-- Open findings of one path that say something else than their divergence does now. A missing directory, which has a
-- number, is found by its finding: its path may have grown or shrunk.
SELECT finding.id, finding.path
FROM checker_finding AS finding
JOIN LATERAL (
    SELECT divergence.kind, divergence.cells, divergence.judged
    FROM checker_divergence AS divergence
    WHERE divergence.comparison_id = %(comparison)s
        AND divergence.finding_id = finding.id
        AND divergence.number IS NULL
        AND left(divergence.path, 512) = left(finding.path, 512)
        AND divergence.path = finding.path
    UNION ALL
    SELECT directory.kind, directory.cells, directory.judged
    FROM checker_divergence AS directory
    WHERE directory.comparison_id = %(comparison)s
        AND directory.finding_id = finding.id
        AND directory.number IS NOT NULL
) AS now ON now.kind = finding.kind
WHERE finding.group_id = %(group)s
    AND finding.replica_id IS NULL
    AND finding.state = 'open'
    AND NOT finding.folded
    AND (now.cells, now.judged) IS DISTINCT FROM (finding.evidence ->> 'cells', finding.evidence ->> 'judged')
ORDER BY finding.id
