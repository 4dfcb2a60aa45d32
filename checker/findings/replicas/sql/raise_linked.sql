-- Let open findings about one path agree: damage that the group or the replica alone proves is damage in both. What a
-- content was before decides whether "reverted" is damage, and reading alone whether a file is readable: both stay.
WITH pair AS (
    SELECT finding.id AS finding_id, between.id AS between_id, finding.severity, between.severity AS between_severity,
        finding.kind
    FROM checker_finding AS finding
    JOIN checker_finding AS between ON between.id = finding.group_finding_id
    WHERE between.group_id = %(group)s
        AND between.replica_id IS NULL
        AND between.state = 'open'
        AND finding.state = 'open'
        AND finding.kind IN ('corrupted', 'rewritten', 'reverted')
        AND finding.replica_id = ANY(between.concerns)
), raised AS (
    SELECT finding_id AS id FROM pair WHERE between_severity = %(critical)s AND severity < %(critical)s
        AND kind = 'rewritten'
    UNION
    SELECT between_id FROM pair WHERE severity = %(critical)s AND between_severity < %(critical)s
)
UPDATE checker_finding AS finding
SET severity = %(critical)s
FROM raised
WHERE finding.id = raised.id
