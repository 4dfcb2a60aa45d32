-- Directories that a run could not look into, with the runs of which that is so: it could not list them, or another
-- file system was mounted there and not entered.
CREATE TEMPORARY TABLE unseen AS
SELECT path, int4range(from_seq, until_seq) AS runs
FROM scanner_version
WHERE replica_id = %(replica)s AND from_seq <= %(run)s
    AND (type = %(error)s AND stage IN ('list', 'stat') OR type = %(special)s AND detail = 'mount');

ANALYZE unseen
