-- Whether a comparison has a file with a newer time under a name that was there before, or moved.
SELECT EXISTS (
    SELECT FROM checker_change AS change
    JOIN scanner_version AS old ON old.id = change.old_id
    JOIN scanner_version AS new ON new.id = change.new_id
    WHERE change.comparison_id = %(comparison)s
        AND change.kind = ANY(%(renewing_kinds)s::text[])
        AND NOT change.departed
        AND new.type = %(file)s
        AND new.mtime_ns > old.mtime_ns
)
