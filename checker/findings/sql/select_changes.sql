-- Changes of one kind that belong to no finding.
INSERT INTO finding_candidate (change_id, path, number)
SELECT change.id, change.path, 1
FROM checker_change AS change
WHERE change.comparison_id = %(comparison)s
    AND change.kind = %(change)s
    AND NOT change.departed
    AND NOT change.restores
    AND change.finding_id IS NULL
