-- A page of the entries of a run, the largest first and those without a size last. Reads index version_size.
SELECT id, path, type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage, from_seq, until_seq
FROM scanner_version
WHERE replica_id = %(replica)s
    AND from_seq <= %(sequence)s
    AND (until_seq IS NULL OR until_seq > %(sequence)s)
    AND (%(lower)s::text IS NULL OR left(path, 512) >= left(%(lower)s, 512) AND path >= %(lower)s)
    AND (%(upper)s::text IS NULL OR left(path, 512) <= left(%(upper)s, 512) AND path < %(upper)s)
    AND (%(type)s::smallint IS NULL OR type = %(type)s)
    AND (%(search)s::text IS NULL OR path LIKE %(search)s)
    AND (%(id)s::bigint IS NULL
        OR (replica_id, coalesce(-size, 1), id) > (%(replica)s, %(size)s, %(id)s))
ORDER BY coalesce(-size, 1), id
LIMIT %(limit)s
