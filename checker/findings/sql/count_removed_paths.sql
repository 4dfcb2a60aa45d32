-- Paths that a comparison removed, whether a finding explains them or not. With `kept` only those that were removed
-- before their age, see select_early_removals; with `type` only entries of that type.
SELECT count(*)
FROM checker_change AS change
JOIN scanner_version AS old ON old.id = change.old_id
WHERE change.comparison_id = %(comparison)s
    AND change.kind = 'removed'
    AND (%(type)s::integer IS NULL OR old.type = %(type)s)
    AND (%(kept)s::timestamptz IS NULL OR CASE
        WHEN old.mtime_ns >= %(calendar_ns)s THEN old.mtime_ns > %(kept_ns)s
        ELSE (
            SELECT least(run.finished_at, run.received_at) > %(kept)s
            FROM scanner_run AS run
            WHERE run.replica_id = old.replica_id AND run.sequence = old.from_seq
        )
    END)
