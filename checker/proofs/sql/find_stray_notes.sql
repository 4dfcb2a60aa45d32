-- Runs that have notes although they are not in the history.
SELECT run.sequence
FROM scanner_run AS run
WHERE run.replica_id = %(replica)s AND run.state <> 'ingested'
    AND EXISTS (SELECT FROM scanner_note WHERE run_id = run.id)
ORDER BY run.sequence
LIMIT %(limit)s
