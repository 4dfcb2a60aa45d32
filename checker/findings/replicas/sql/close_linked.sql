-- Close the open findings of single replicas that belong to findings of damage which are over: every copy is proven by
-- its history, that of the replica among them. What could not be read is proven by reading alone.
UPDATE checker_finding AS finding
SET state = 'resolved', closed_at = %(now)s, last_run_id = %(run)s
FROM checker_finding AS between
WHERE between.id = ANY(%(findings)s::bigint[])
    AND (between.evidence ->> 'was_damage')::boolean
    AND finding.group_finding_id = between.id
    AND finding.state = 'open'
    AND finding.kind <> 'unreadable'
RETURNING finding.id
