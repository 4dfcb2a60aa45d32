-- Where the earlier run could not read a path, find the last version before it that was read.
UPDATE difference SET last_read_id = (
    SELECT version.id FROM scanner_version AS version
    WHERE version.replica_id = %(replica)s
        AND left(version.path, 512) = left(difference.path, 512) AND version.path = difference.path
        AND version.from_seq <= %(base)s AND version.type <> %(error)s
    ORDER BY version.from_seq DESC
    LIMIT 1
)
WHERE difference.old_type = %(error)s OR difference.hidden_before
