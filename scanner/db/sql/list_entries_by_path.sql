-- A page of the entries of a run, in the order of their paths. Reads index version_path.
SELECT id, path, type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage, from_seq, until_seq
FROM scanner_version
WHERE replica_id = %(replica)s
    AND from_seq <= %(sequence)s
    AND (until_seq IS NULL OR until_seq > %(sequence)s)
    AND (%(lower)s::text IS NULL OR left(path, 512) >= left(%(lower)s, 512) AND path >= %(lower)s)
    AND (%(upper)s::text IS NULL OR left(path, 512) <= left(%(upper)s, 512) AND path < %(upper)s)
    AND (%(type)s::smallint IS NULL OR type = %(type)s)
    AND (%(search)s::text IS NULL OR path LIKE %(search)s)
ORDER BY left(path, 512), path
LIMIT %(limit)s
