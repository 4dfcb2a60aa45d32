-- The newest run before a sequence number whose comparison brought a new file: an added path, or one that was renewed,
-- see has_renewed_file.
SELECT comparison.run_id
FROM checker_comparison AS comparison
JOIN scanner_run AS run ON run.id = comparison.run_id
WHERE comparison.replica_id = %(replica)s
    AND comparison.adjacent
    AND comparison.state = 'done'
    AND comparison.base_id IS NOT NULL
    AND run.sequence < %(sequence)s
    AND (
        comparison.counts ? 'added'
        OR (comparison.counts ?| %(renewing_kinds)s::text[] AND EXISTS (
            SELECT FROM checker_change AS change
            JOIN scanner_version AS old ON old.id = change.old_id
            JOIN scanner_version AS new ON new.id = change.new_id
            WHERE change.comparison_id = comparison.id
                AND change.kind = ANY(%(renewing_kinds)s::text[])
                AND NOT change.departed
                AND new.type = %(file)s
                AND new.mtime_ns > old.mtime_ns
        ))
    )
ORDER BY run.sequence DESC
LIMIT 1
