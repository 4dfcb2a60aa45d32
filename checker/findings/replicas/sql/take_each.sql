-- Make the divergence of each path its finding's own.
UPDATE checker_divergence AS divergence
SET finding_id = finding.id
FROM unnest(%(paths)s::text[], %(findings)s::bigint[]) AS finding (path, id)
WHERE divergence.comparison_id = %(comparison)s
    AND left(divergence.path, 512) = left(finding.path, 512)
    AND divergence.path = finding.path
