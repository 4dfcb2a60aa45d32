-- Files that were packed one by one, by what was appended to their names: how many, their bytes before and after, and
-- how many of them were modified after `kept`. A tool that packs gives the new file the time of the old one.
WITH removed AS (
    SELECT change.path, old.size, old.mtime_ns
    FROM checker_change AS change
    JOIN scanner_version AS old ON old.id = change.old_id AND old.type = %(file)s
    WHERE change.comparison_id = %(comparison)s AND change.kind = 'removed'
), added AS (
    SELECT
        substring(change.path FROM '^(.+)\.[^./]+$') AS stem,
        substring(change.path FROM '\.([^./]+)$') AS ending,
        new.size,
        new.mtime_ns
    FROM checker_change AS change
    JOIN scanner_version AS new ON new.id = change.new_id AND new.type = %(file)s
    WHERE change.comparison_id = %(comparison)s AND change.kind = 'added'
)
SELECT
    added.ending,
    count(*),
    sum(removed.size)::bigint,
    sum(added.size)::bigint,
    count(*) FILTER (WHERE %(kept)s::timestamptz IS NULL OR removed.mtime_ns > %(kept_ns)s)
FROM added
JOIN removed ON removed.path = added.stem
WHERE added.ending = ANY(%(packers)s::text[])
    -- Some tools keep whole seconds only.
    AND added.mtime_ns / 1000000000 = removed.mtime_ns / 1000000000
GROUP BY added.ending
