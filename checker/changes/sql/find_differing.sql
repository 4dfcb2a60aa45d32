-- Paths that differ between two runs: what the earlier run had and ended since, beside what began since and the later
-- run has. It costs what changed, not what exists: `version_until` and `version_from` lead to these rows alone.
SELECT coalesce(old.path, new.path) AS path, old.id AS old_id, old.type AS old_type, old.stage AS old_stage,
    new.id AS new_id
FROM (
    SELECT id, path, type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage
    FROM scanner_version
    WHERE replica_id = %(replica)s AND until_seq > %(base)s AND until_seq <= %(run)s AND from_seq <= %(base)s
) AS old
FULL JOIN (
    SELECT id, path, type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage
    FROM scanner_version
    WHERE replica_id = %(replica)s AND from_seq > %(base)s AND from_seq <= %(run)s
        AND (until_seq IS NULL OR until_seq > %(run)s)
) AS new USING (path)
WHERE old.id IS NULL OR new.id IS NULL
    OR (old.type, old.size, old.mtime_ns, old.mode, old.uid, old.gid, old.sha256, old.md5, old.detail, old.stage)
        IS DISTINCT FROM
        (new.type, new.size, new.mtime_ns, new.mode, new.uid, new.gid, new.sha256, new.md5, new.detail, new.stage)
