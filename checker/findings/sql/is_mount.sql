-- Whether a path is a mount point at a run.
SELECT EXISTS (
    SELECT FROM state_at(%(replica)s, %(sequence)s) AS version
    WHERE left(version.path, 512) = left(%(path)s, 512) AND version.path = %(path)s
        AND version.type = %(special)s AND version.detail = 'mount'
)
