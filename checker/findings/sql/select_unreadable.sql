-- Paths that became unreadable, either by an error of the medium or by any other one. A file that only changes while
-- it is read is neither.
INSERT INTO finding_candidate (change_id, path, number)
SELECT change.id, change.path, 1
FROM checker_change AS change
JOIN scanner_version AS new ON new.id = change.new_id
WHERE change.comparison_id = %(comparison)s
    AND change.kind = 'unreadable'
    AND NOT change.departed
    AND NOT change.restores
    AND change.finding_id IS NULL
    AND new.detail <> %(changed_while_read)s
    AND (new.detail = ANY(%(medium_errors)s::text[])) = %(by_medium)s
