-- What was damaged, is not any more and still diverges goes on in its finding.
UPDATE {gathered} AS divergence
SET finding_id = finding.id
FROM checker_finding AS finding
WHERE finding.group_id = %(group)s
    AND finding.replica_id IS NULL
    AND finding.state = 'open'
    AND NOT finding.folded
    AND finding.kind = 'mismatch'
    AND finding.severity = %(critical)s
    AND divergence.kind = 'mismatch'
    AND divergence.verdict <> %(damaged)s
    AND divergence.finding_id IS NULL
    AND divergence.current
    AND left(divergence.path, 512) = left(finding.path, 512)
    AND divergence.path = finding.path
RETURNING finding.id
