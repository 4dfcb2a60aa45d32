-- Files that have changed while they were read in every complete run since one, by the changes with which that began.
INSERT INTO finding_candidate (change_id, path, number, since)
SELECT change.id, change.path, 1, new.from_seq
FROM state_at(%(replica)s, %(sequence)s) AS new
JOIN scanner_run AS run ON run.replica_id = new.replica_id AND run.sequence = new.from_seq
JOIN checker_comparison AS comparison ON comparison.run_id = run.id AND comparison.adjacent
-- The index of changes by path holds the first 512 characters.
JOIN checker_change AS change
    ON change.comparison_id = comparison.id
    AND left(change.path, 512) = left(new.path, 512)
    AND change.path = new.path
    AND change.new_id = new.id
WHERE new.type = %(error)s
    AND new.detail = %(changed_while_read)s
    AND new.from_seq <= %(since)s
    AND change.finding_id IS NULL
