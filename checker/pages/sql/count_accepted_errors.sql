-- How many paths that a run could not read belong to accepted findings.
SELECT count(*)
FROM state_at(%(replica)s, %(sequence)s) AS version
WHERE version.type = %(error)s
    AND EXISTS (
        SELECT FROM checker_finding AS finding
        WHERE finding.replica_id = %(replica)s
            AND finding.state = 'accepted'
            AND finding.kind = ANY(%(kinds)s::text[])
            AND (
                finding.path = version.path
                -- A directory that cannot be listed belongs to the finding that is folded at it.
                OR finding.folded AND starts_with(version.path || '/', finding.path)
            )
    )
