-- One open finding, as concern_touched_findings has them. Without changes of its own it proves nothing.
DROP TABLE IF EXISTS concerned_finding;

CREATE TEMPORARY TABLE concerned_finding ON COMMIT DROP AS
SELECT finding.id, finding.kind
FROM checker_finding AS finding
WHERE finding.id = %(finding)s
    AND EXISTS (SELECT FROM checker_change WHERE finding_id = finding.id);

ANALYZE concerned_finding
