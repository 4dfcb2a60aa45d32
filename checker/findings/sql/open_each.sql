-- Open a finding for each candidate, or renew the one that is open for its path. In sets: a failing disk may bring a
-- hundred thousand of them.
UPDATE finding_candidate AS candidate
SET finding_id = finding.id, is_known = true
FROM checker_finding AS finding
WHERE finding.replica_id = %(replica)s
    AND finding.state = 'open'
    AND finding.kind = %(kind)s
    AND NOT finding.folded
    AND finding.path = candidate.path;

UPDATE finding_candidate
SET finding_id = nextval(pg_get_serial_sequence('checker_finding', 'id'))
WHERE finding_id IS NULL;

UPDATE checker_finding AS finding
SET last_run_id = %(run)s,
    severity = %(severity)s,
    evidence = finding.evidence || jsonb_build_object('latest', candidate.facts)
FROM finding_candidate AS candidate
WHERE candidate.is_known AND finding.id = candidate.finding_id;

INSERT INTO checker_finding (
    id, uuid, group_id, replica_id, kind, severity, path, folded, number, evidence, state, opened_at, reason,
    first_run_id, last_run_id
)
SELECT
    finding_id, gen_random_uuid(), %(group)s, %(replica)s, %(kind)s, %(severity)s, path, false, 1, facts, 'open',
    statement_timestamp(), '', %(run)s, %(run)s
FROM finding_candidate
WHERE NOT is_known;

INSERT INTO checker_act (finding_id, at, what, name, reason, run_id)
SELECT
    finding_id, statement_timestamp(), CASE WHEN is_known THEN 'seen_again' ELSE 'opened' END, '', '', %(run)s
FROM finding_candidate
ORDER BY finding_id;

UPDATE checker_change AS change
SET finding_id = candidate.finding_id
FROM finding_candidate AS candidate
WHERE change.id = candidate.change_id
