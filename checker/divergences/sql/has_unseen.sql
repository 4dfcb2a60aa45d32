-- Whether a participant could not look into a directory: it could not list it, or another file system is mounted there.
SELECT EXISTS (
    SELECT FROM state_at(%(replica)s, %(sequence)s)
    WHERE type = %(error)s AND stage IN ('list', 'stat') OR type = %(special)s AND detail = 'mount'
)
