-- The history of one path of a replica, oldest version first. Reads index version_path.
SELECT id, path, type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage, from_seq, until_seq
FROM scanner_version
WHERE replica_id = %(replica)s AND left(path, 512) = left(%(path)s, 512) AND path = %(path)s
ORDER BY from_seq
