SELECT count(DISTINCT path) FROM checker_change WHERE finding_id = %(finding)s
