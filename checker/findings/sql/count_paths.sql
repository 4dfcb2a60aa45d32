-- Count the paths that belong to a finding. A path that changed several times counts once.
SELECT count(DISTINCT path) FROM checker_change WHERE finding_id = %(finding)s
