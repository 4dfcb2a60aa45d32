-- Ids of replicas that have versions and do not exist. The recursion is a loose index scan: one look into the index for
-- each replica, not one for each version.
WITH RECURSIVE known AS (
    SELECT min(replica_id) AS id FROM scanner_version
    UNION ALL
    SELECT (SELECT min(replica_id) FROM scanner_version WHERE replica_id > known.id)
    FROM known
    WHERE known.id IS NOT NULL
)
SELECT id
FROM known
WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM scanner_replica WHERE id = known.id)
