-- What was hidden and is as it was has not changed. Of what was never read nothing can be said to be gone.
DELETE FROM difference
WHERE hidden_before AND (
    new_id IS NULL AND last_read_id IS NULL
    OR EXISTS (
        SELECT FROM scanner_version AS last_read, scanner_version AS new
        WHERE last_read.id = difference.last_read_id AND new.id = difference.new_id
            AND (last_read.type, last_read.size, last_read.mtime_ns, last_read.mode, last_read.uid, last_read.gid,
                last_read.sha256, last_read.md5, last_read.detail, last_read.stage)
            IS NOT DISTINCT FROM
            (new.type, new.size, new.mtime_ns, new.mode, new.uid, new.gid, new.sha256, new.md5, new.detail, new.stage)
    )
)
