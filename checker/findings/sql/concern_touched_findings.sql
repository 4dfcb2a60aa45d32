-- The open findings that a comparison may close: those of which a path changed again, and those of unreadable paths
-- that lie below a directory which can be listed again. What was hidden and is seen as it was last read is no change.
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
SELECT finding.id, finding.kind
FROM checker_finding AS finding
JOIN checker_change AS member ON member.finding_id = finding.id AND member.comparison_id <> %(comparison)s
JOIN checker_change AS change
    ON change.comparison_id = %(comparison)s
    AND left(change.path, 512) = left(member.path, 512)
    AND change.path = member.path
WHERE finding.replica_id = %(replica)s AND finding.state = 'open' AND finding.kind <> 'moved'
UNION
-- A move is undone where the path was before.
SELECT finding.id, finding.kind
FROM checker_finding AS finding
JOIN checker_change AS member ON member.finding_id = finding.id AND member.comparison_id <> %(comparison)s
JOIN checker_change AS change
    ON change.comparison_id = %(comparison)s
    AND left(change.path, 512) = left(member.other, 512)
    AND change.path = member.other
WHERE finding.replica_id = %(replica)s AND finding.state = 'open' AND finding.kind = 'moved'
UNION
SELECT finding.id, finding.kind
FROM listed_again
JOIN checker_finding AS finding
    ON finding.replica_id = %(replica)s
    AND finding.state = 'open'
    AND finding.kind = ANY(%(resolved_by_reading)s::text[])
JOIN checker_change AS member ON member.finding_id = finding.id AND starts_with(member.path, listed_again.directory);

ANALYZE concerned_finding
