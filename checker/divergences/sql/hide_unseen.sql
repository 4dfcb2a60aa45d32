-- What lies in a directory into which a participant could not look is not missing there, but unknown.
UPDATE diverging SET cells = overlay(cells PLACING '?' FROM %(position)s FOR 1)
FROM (
    SELECT below.path
    FROM (
        SELECT path FROM state_at(%(replica)s, %(sequence)s)
        WHERE type = %(error)s AND stage IN ('list', 'stat') OR type = %(special)s AND detail = 'mount'
    ) AS unseen
    CROSS JOIN LATERAL (
        SELECT divergence.path FROM diverging AS divergence
        WHERE is_below(divergence.path, unseen.path || '/')
        OFFSET 0
    ) AS below
) AS hidden
WHERE diverging.path = hidden.path AND substr(cells, %(position)s, 1) = '-'
