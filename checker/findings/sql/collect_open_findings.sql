-- The open findings of a replica, or the one that is asked for, in a table of which the planner knows the size: it
-- knows nothing yet of findings and changes that are new.
DROP TABLE IF EXISTS open_finding;

CREATE TEMPORARY TABLE open_finding ON COMMIT DROP AS
SELECT finding.id, finding.kind
FROM checker_finding AS finding
WHERE finding.replica_id = %(replica)s
    AND finding.state = 'open'
    AND (%(finding)s::bigint IS NULL OR finding.id = %(finding)s);

ANALYZE open_finding
