-- The findings that a comparison may close: those of which a path changed again, and those of unreadable paths that lie
-- below a directory which can be listed again. What was hidden and is seen as it was last read is no change.
DROP TABLE IF EXISTS concerned_finding;

CREATE TEMPORARY TABLE concerned_finding ON COMMIT DROP AS
WITH listed_again AS MATERIALIZED (
    SELECT path || '/' AS directory
    FROM scanner_version
    WHERE replica_id = %(replica)s
        AND type = %(error)s
        AND stage IN ('list', 'stat')
        AND until_seq > %(base)s
        AND until_seq <= %(sequence)s
)
SELECT finding_id AS id, kind
FROM touched_member
UNION
SELECT finding.id, finding.kind
FROM listed_again
CROSS JOIN open_finding AS finding
JOIN checker_change AS member ON member.finding_id = finding.id AND starts_with(member.path, listed_again.directory)
WHERE finding.kind = ANY(%(resolved_by_reading)s::text[]);

ANALYZE concerned_finding
