-- Files that were written later and are larger: those that grew by an eighth at least, those that grew by less, and how
-- many of the latter grew by nearly the same few bytes.
WITH grown AS (
    SELECT
        new.size - old.size AS growth,
        (new.size - old.size) * 8 >= old.size AS is_large
    FROM checker_change AS change
    JOIN scanner_version AS old ON old.id = change.old_id AND old.type = %(file)s
    JOIN scanner_version AS new ON new.id = change.new_id AND new.type = %(file)s
    WHERE change.comparison_id = %(comparison)s
        AND change.kind = 'modified'
        AND new.mtime_ns > old.mtime_ns
        AND new.size > old.size
), alike AS (
    SELECT count(*) OVER (ORDER BY growth RANGE BETWEEN CURRENT ROW AND %(padding)s FOLLOWING) AS number
    FROM grown
    WHERE NOT is_large AND growth <= %(largest_header)s
)
SELECT
    (SELECT count(*) FROM grown WHERE is_large),
    (SELECT count(*) FROM grown WHERE NOT is_large),
    (SELECT coalesce(max(number), 0) FROM alike)
