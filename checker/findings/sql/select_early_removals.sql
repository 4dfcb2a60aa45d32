-- Paths that were removed before their age: by their own modification time, or, where that is not known or lies before
-- the calendar, by the run that saw them first.
INSERT INTO finding_candidate (change_id, path, number)
SELECT change.id, change.path, 1
FROM checker_change AS change
LEFT JOIN scanner_version AS old ON old.id = change.old_id
WHERE change.comparison_id = %(comparison)s
    AND change.kind = 'removed'
    AND NOT change.departed
    AND NOT change.restores
    AND change.finding_id IS NULL
    AND CASE
        WHEN old.mtime_ns >= %(calendar_ns)s THEN old.mtime_ns > %(kept_ns)s
        ELSE (
            SELECT least(run.finished_at, run.received_at) > %(kept)s
            FROM scanner_run AS run
            WHERE run.replica_id = old.replica_id AND run.sequence = old.from_seq
        )
    END
