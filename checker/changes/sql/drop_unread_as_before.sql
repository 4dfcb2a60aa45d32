-- What could not be read before it was hidden, and cannot be read for the same reason now, has not changed. A file that
-- changes while it is read stays: a change begins the row of runs that makes it a finding.
DELETE FROM difference USING scanner_version AS new
WHERE difference.hidden_before AND new.id = difference.new_id
    AND new.type = %(error)s AND new.detail <> %(changed_while_read)s
    AND (new.type, new.detail, new.stage) = (
        SELECT version.type, version.detail, version.stage FROM scanner_version AS version
        WHERE version.replica_id = %(replica)s
            AND left(version.path, 512) = left(difference.path, 512) AND version.path = difference.path
            AND version.from_seq <= %(base)s
        ORDER BY version.from_seq DESC
        LIMIT 1
    )
