-- Files that were written later and are larger by an eighth at least, and how many of them grew by the same few bytes.
WITH grown AS (
    SELECT new.size - old.size AS growth
    FROM checker_change AS change
    JOIN scanner_version AS old ON old.id = change.old_id AND old.type = %(file)s
    JOIN scanner_version AS new ON new.id = change.new_id AND new.type = %(file)s
    WHERE change.comparison_id = %(comparison)s
        AND change.kind = 'modified'
        AND new.mtime_ns > old.mtime_ns
        AND (new.size - old.size) * 8 >= greatest(old.size, 1)
), alike AS (
    SELECT count(*) AS number
    FROM grown
    WHERE growth <= %(largest_header)s
    GROUP BY growth
)
SELECT (SELECT count(*) FROM grown), (SELECT coalesce(max(number), 0) FROM alike)
