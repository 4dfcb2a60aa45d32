-- Candidates by the mount point, with a slash, behind which they lie. Mount points do not lie within each other: a run
-- that does not enter one sees none below it.
SELECT mount.path || '/' AS directory, count(*)
FROM state_at(%(replica)s, %(sequence)s) AS mount
JOIN finding_candidate AS candidate ON is_below(candidate.path, mount.path || '/')
WHERE mount.type = %(special)s AND mount.detail = 'mount'
GROUP BY mount.path
ORDER BY mount.path
