-- The open findings that were collected, whether a path of them changed or not. One without changes of its own proves
-- nothing.
DROP TABLE IF EXISTS concerned_finding;

CREATE TEMPORARY TABLE concerned_finding ON COMMIT DROP AS
SELECT finding.id, finding.kind
FROM open_finding AS finding
WHERE EXISTS (SELECT FROM checker_change WHERE finding_id = finding.id);

ANALYZE concerned_finding
