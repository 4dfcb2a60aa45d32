-- Paths below a directory that became unknown.
SELECT count(*)
FROM checker_change AS change
WHERE change.comparison_id = %(comparison)s
    AND change.kind = 'unknown'
    AND is_below(change.path, %(directory)s)
