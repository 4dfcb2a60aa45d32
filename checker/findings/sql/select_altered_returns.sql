-- Paths that an error of the medium made unreadable, and that could be read again with other content than last.
INSERT INTO finding_candidate (change_id, path, number)
SELECT change.id, change.path, 1
FROM checker_finding AS finding
JOIN checker_change AS change
    ON change.comparison_id = %(comparison)s
    AND left(change.path, 512) = left(finding.path, 512)
    AND change.path = finding.path
JOIN scanner_version AS new ON new.id = change.new_id AND new.type <> %(error)s
WHERE finding.replica_id = %(replica)s
    AND finding.state = 'open'
    AND finding.kind = 'unreadable'
    AND NOT finding.folded
    AND finding.evidence -> 'new' ->> 'detail' = ANY(%(medium_errors)s::text[])
    AND change.kind IN ('modified', 'reverted', 'retyped')
    AND NOT change.departed
    AND NOT change.restores
    AND change.finding_id IS NULL
