-- The findings that a comparison may close: those of which a path changed again, and those of unreadable paths that lie
-- below a directory which can be listed again. What was hidden and is seen as it was last read is no change.
DROP TABLE IF EXISTS concerned_finding, unread_member;

-- With an index, so that each directory costs a look: there may be as many of them as members.
CREATE TEMPORARY TABLE unread_member ON COMMIT DROP AS
SELECT finding.id, finding.kind, member.path
FROM open_finding AS finding
JOIN checker_change AS member ON member.finding_id = finding.id
WHERE finding.kind = ANY(%(resolved_by_reading)s::text[]);

CREATE INDEX ON unread_member (left(path, 512));
ANALYZE unread_member;

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
SELECT below.id, below.kind
FROM listed_again
CROSS JOIN LATERAL (
    SELECT member.id, member.kind
    FROM unread_member AS member
    WHERE is_below(member.path, listed_again.directory)
    OFFSET 0
) AS below;

ANALYZE concerned_finding
