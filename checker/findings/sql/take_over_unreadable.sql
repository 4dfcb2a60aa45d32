-- Open findings of unreadable paths become findings of the damage with which the path came back, unless it has one.
UPDATE checker_finding AS finding
SET kind = 'corrupted'
FROM finding_candidate AS candidate
WHERE finding.replica_id = %(replica)s
    AND finding.state = 'open'
    AND finding.kind = 'unreadable'
    AND NOT finding.folded
    AND finding.path = candidate.path
    AND NOT EXISTS (
        SELECT FROM checker_finding AS damage
        WHERE damage.replica_id = finding.replica_id
            AND damage.state = 'open'
            AND damage.kind = 'corrupted'
            AND damage.path = finding.path
    )
