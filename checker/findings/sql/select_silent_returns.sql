-- Paths that hold an earlier content again although nobody wrote: the times are the same, and further reads confirmed
-- it. A write was lost, or a mirror fell behind.
INSERT INTO finding_candidate (change_id, path, number)
SELECT change.id, change.path, 1
FROM checker_change AS change
JOIN scanner_version AS old ON old.id = change.old_id
JOIN scanner_version AS new ON new.id = change.new_id
WHERE change.comparison_id = %(comparison)s
    AND change.kind = 'reverted'
    AND NOT change.departed
    AND NOT change.restores
    AND change.finding_id IS NULL
    AND old.mtime_ns = new.mtime_ns
    AND change.notes -> 'confirmed' ->> 'ctime_same' = 'true'
    AND change.notes -> 'confirmed' ->> 'against' = %(base_run)s
