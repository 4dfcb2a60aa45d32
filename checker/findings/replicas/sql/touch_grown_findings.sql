-- Open findings of missing directories in which something else is missing now: a page that showed one before does not
-- show what it is now.
UPDATE checker_finding
SET last_run_id = %(run)s
WHERE state = 'open' AND id IN (SELECT finding_id FROM diverging_grown)
