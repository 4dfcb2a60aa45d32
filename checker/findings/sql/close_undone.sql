-- Close what was found since a mass change, now that a run has again all contents from before it. What the run could
-- not read or look into stays open.
WITH unseen AS MATERIALIZED (
    SELECT path, path || '/' AS directory
    FROM state_at(%(replica)s, %(sequence)s)
    WHERE type = %(error)s OR type = %(special)s AND detail = 'mount'
), closed AS (
    UPDATE checker_finding AS finding
    SET state = 'resolved', closed_at = statement_timestamp(), last_run_id = %(run)s
    FROM scanner_run AS first_run
    WHERE finding.replica_id = %(replica)s
        AND finding.state = 'open'
        AND finding.kind = ANY(%(kinds)s::text[])
        AND first_run.id = finding.first_run_id
        AND first_run.sequence >= %(since)s
        AND EXISTS (SELECT FROM checker_change WHERE finding_id = finding.id)
        AND NOT EXISTS (
            SELECT
            FROM checker_change AS member
            JOIN unseen ON unseen.path = member.path OR starts_with(member.path, unseen.directory)
            WHERE member.finding_id = finding.id
        )
    RETURNING finding.id
)
INSERT INTO checker_act (finding_id, at, what, name, reason, run_id)
SELECT id, statement_timestamp(), 'resolved', '', '', %(run)s
FROM closed
ORDER BY id
