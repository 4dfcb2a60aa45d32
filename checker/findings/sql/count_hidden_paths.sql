-- Paths below a directory that became unknown. `upper` is null where the directory is the root.
SELECT count(*)
FROM checker_change AS change
WHERE change.comparison_id = %(comparison)s
    AND change.kind = 'unknown'
    AND (%(lower)s::text IS NULL OR left(change.path, 512) >= left(%(lower)s, 512) AND change.path >= %(lower)s)
    AND (%(upper)s::text IS NULL OR left(change.path, 512) <= left(%(upper)s, 512) AND change.path < %(upper)s)
