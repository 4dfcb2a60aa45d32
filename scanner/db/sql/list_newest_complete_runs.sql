-- The newest complete runs of some replicas, oldest first. LATERAL makes it one look into the index for each replica:
-- it costs what it gives, however many runs there are.
SELECT replica.id, run.id, run.uuid, run.sequence, run.finished_at, run.work_time_ns, run.bytes
FROM unnest(%(replicas)s::int[]) AS replica(id)
CROSS JOIN LATERAL (
    SELECT * FROM scanner_run
    WHERE replica_id = replica.id AND state = 'ingested'
    ORDER BY sequence DESC
    LIMIT %(limit)s
) AS run
ORDER BY replica.id, run.sequence
