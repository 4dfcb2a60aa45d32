-- Directories that could not be listed at some time, with the runs of which that is so.
CREATE TEMPORARY TABLE unlistable AS
SELECT path, int4range(from_seq, until_seq) AS runs
FROM scanner_version
WHERE replica_id = %(replica)s AND type = %(error)s AND stage IN ('list', 'stat') AND from_seq <= %(run)s;

ANALYZE unlistable
