-- Paths that became unknown, belong to no finding, and lie behind a mount point that the run did not enter.
INSERT INTO finding_candidate (change_id, path, number)
SELECT change.id, change.path, 1
FROM checker_change AS change
WHERE change.comparison_id = %(comparison)s
    AND change.kind = 'unknown'
    AND change.finding_id IS NULL
    AND EXISTS (
        SELECT FROM state_at(%(replica)s, %(sequence)s) AS mount
        WHERE mount.type = %(special)s AND mount.detail = 'mount' AND is_below(change.path, mount.path || '/')
    )
