-- Gathered divergences of one kind that have no finding and no damaged copy, among replicas that have a vote.
INSERT INTO finding_candidate (path, number)
SELECT divergence.path, coalesce(divergence.number, 1)
FROM {gathered} AS divergence
WHERE divergence.comparison_id = %(comparison)s
    AND divergence.kind = %(kind)s
    AND divergence.verdict <> %(damaged)s
    AND divergence.current
    AND divergence.finding_id IS NULL
