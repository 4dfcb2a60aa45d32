-- Those of some directories into which a participant could not look.
SELECT directory FROM unnest(%(directories)s::text[]) AS directory
WHERE EXISTS (
    SELECT FROM (
        SELECT path FROM state_at(%(replica)s, %(sequence)s)
        WHERE type = %(error)s AND stage IN ('list', 'stat') OR type = %(special)s AND detail = 'mount'
    ) AS unseen
    WHERE starts_with(directory, unseen.path || '/')
)
