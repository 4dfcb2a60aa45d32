-- What did not diverge before. It comes in the order of the paths: in any other order each of a million rows would
-- touch another page of each index.
INSERT INTO checker_divergence (comparison_id, path, finding_id, since, versions, current, kind, verdict, cells, judged,
    others, alike, mark, number, holder)
SELECT comparison_id, path, finding_id, since, versions, current, kind, verdict, cells, judged, others, alike, mark,
    number, holder
FROM diverging_kept AS new
WHERE %(nothing_stored)s OR NOT EXISTS (
    SELECT FROM checker_divergence AS old
    WHERE old.comparison_id = %(comparison)s AND left(old.path, 512) = left(new.path, 512) AND old.path = new.path
)
ORDER BY path
