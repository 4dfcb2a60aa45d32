-- Paths that hold an earlier content again which was damage when it stood there, and was never accepted.
INSERT INTO finding_candidate (change_id, path, number)
SELECT change.id, change.path, 1
FROM checker_change AS change
JOIN scanner_version AS new ON new.id = change.new_id
WHERE change.comparison_id = %(comparison)s
    AND change.kind = 'reverted'
    AND NOT change.departed
    AND NOT change.restores
    AND change.finding_id IS NULL
    AND (change.path, new.sha256) IN (
        SELECT damage.path, damaged.sha256
        FROM checker_finding AS damage
        JOIN checker_change AS corruption ON corruption.finding_id = damage.id
        JOIN scanner_version AS damaged ON damaged.id = corruption.new_id
        WHERE damage.replica_id = %(replica)s
            AND damage.kind = 'corrupted'
            AND damage.state = 'resolved'
    )
