-- Close the concerned findings all paths of which are as before. A finding that a person closes meanwhile is not open
-- any more when the UPDATE reaches it, and stays as the person left it.
WITH closed AS (
    UPDATE checker_finding AS finding
    SET state = 'resolved', closed_at = statement_timestamp(), last_run_id = %(run)s
    FROM concerned_finding AS concerned
    WHERE finding.id = concerned.id
        AND finding.state = 'open'
        AND NOT EXISTS (
            SELECT FROM finding_member AS member WHERE member.finding_id = concerned.id AND NOT member.is_as_before
        )
    RETURNING finding.id
)
INSERT INTO checker_act (finding_id, at, what, name, reason, run_id)
SELECT id, statement_timestamp(), 'resolved', '', '', %(run)s
FROM closed
ORDER BY id
