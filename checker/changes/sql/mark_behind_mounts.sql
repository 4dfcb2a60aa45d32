-- What lies behind a mount point is out of scope of a run that may no longer enter mount points.
UPDATE difference SET out_of_scope = true
FROM (
    SELECT below.path
    FROM (
        SELECT path FROM state_at(%(replica)s, %(run)s) WHERE type = %(special)s AND detail = 'mount'
    ) AS mount
    CROSS JOIN LATERAL (
        SELECT candidate.path FROM difference AS candidate
        WHERE is_below(candidate.path, mount.path || '/')
        OFFSET 0
    ) AS below
) AS behind
WHERE difference.path = behind.path AND difference.new_id IS NULL
