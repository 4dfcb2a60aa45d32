-- The evidence of candidates, or of those among `paths`: both versions of the path, and what the run's notes say.
UPDATE finding_candidate AS candidate
SET facts = jsonb_strip_nulls(jsonb_build_object(
        'base', %(base)s::integer,
        'comparison', %(comparison)s::bigint,
        'other', change.other,
        'became', nullif(change.kind, %(usual_change)s),
        -- A directory that cannot be listed hides what lies below it.
        'hidden', CASE WHEN new.stage IN ('list', 'stat') THEN (
            SELECT count(*)
            FROM checker_change AS hidden
            WHERE hidden.comparison_id = %(comparison)s
                AND hidden.kind = 'unknown'
                AND is_below(hidden.path, change.path || '/')
        ) END
    )) || jsonb_build_object(
        'old', CASE WHEN old.id IS NULL THEN '{}' ELSE jsonb_build_object(
            'type', old.type, 'size', old.size, 'mtime_ns', old.mtime_ns, 'mode', old.mode, 'uid', old.uid,
            'gid', old.gid, 'sha256', encode(old.sha256, 'hex'), 'detail', old.detail, 'stage', old.stage,
            'from', old.from_seq
        ) END,
        'new', CASE WHEN new.id IS NULL THEN '{}' ELSE jsonb_build_object(
            'type', new.type, 'size', new.size, 'mtime_ns', new.mtime_ns, 'mode', new.mode, 'uid', new.uid,
            'gid', new.gid, 'sha256', encode(new.sha256, 'hex'), 'detail', new.detail, 'stage', new.stage,
            'from', new.from_seq
        ) END,
        'notes', coalesce(change.notes, '{}')
    )
FROM checker_change AS change
LEFT JOIN scanner_version AS old ON old.id = change.old_id
LEFT JOIN scanner_version AS new ON new.id = change.new_id
WHERE change.id = candidate.change_id
    AND (%(paths)s::text[] IS NULL OR candidate.path = ANY(%(paths)s::text[]))
