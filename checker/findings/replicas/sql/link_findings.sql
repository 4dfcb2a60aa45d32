-- Let open findings of one replica that may be damage know the open finding between the replicas about the same path.
UPDATE checker_finding AS finding
SET group_finding_id = between.id
FROM checker_finding AS between
WHERE between.group_id = %(group)s
    AND between.replica_id IS NULL
    AND between.state = 'open'
    AND between.kind = 'mismatch'
    AND NOT between.folded
    AND finding.group_id = between.group_id
    AND finding.replica_id IS NOT NULL
    AND finding.state = 'open'
    AND finding.kind IN ('corrupted', 'rewritten', 'unreadable', 'reverted')
    AND NOT finding.folded
    AND left(finding.path, 512) = left(between.path, 512)
    AND finding.path = between.path
    AND finding.group_finding_id IS DISTINCT FROM between.id
