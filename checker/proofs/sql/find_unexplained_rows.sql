-- Runs whose rows of history are not as many as they say they opened and closed, and numbers of runs that have rows but
-- are not in the history. It is one statement, so that a run that is ingested meanwhile is seen whole or not at all.
WITH opened AS (
    SELECT from_seq AS sequence, count(*) AS number
    FROM scanner_version
    WHERE replica_id = %(replica)s
    GROUP BY from_seq
), closed AS (
    SELECT until_seq AS sequence, count(*) AS number
    FROM scanner_version
    WHERE replica_id = %(replica)s AND until_seq IS NOT NULL
    GROUP BY until_seq
), run AS (
    SELECT sequence, state, opened, closed FROM scanner_run WHERE replica_id = %(replica)s
)
SELECT sequence, run.state, run.opened, run.closed, coalesce(opened.number, 0), coalesce(closed.number, 0)
FROM run
FULL JOIN opened USING (sequence)
FULL JOIN closed USING (sequence)
WHERE CASE run.state
    WHEN 'ingested' THEN
        (run.opened, run.closed) IS DISTINCT FROM (coalesce(opened.number, 0), coalesce(closed.number, 0))
    ELSE coalesce(opened.number, 0) + coalesce(closed.number, 0) > 0
END
ORDER BY sequence
LIMIT %(limit)s
