-- The findings of missing directories in which something is that was not there, or is another one now: by the new
-- versions of the holder.
DROP TABLE IF EXISTS diverging_grown;

CREATE TEMPORARY TABLE diverging_grown AS
SELECT DISTINCT new.finding_id
FROM diverging_kept AS new
JOIN checker_divergence AS old
    ON old.comparison_id = %(comparison)s AND left(old.path, 512) = left(new.path, 512) AND old.path = new.path
JOIN scanner_run AS old_holder ON old_holder.id = old.holder
JOIN scanner_run AS new_holder ON new_holder.id = new.holder
WHERE new.number IS NOT NULL AND new.finding_id = old.finding_id
    AND (
        old_holder.replica_id <> new_holder.replica_id
        OR EXISTS (
            SELECT FROM state_at(new_holder.replica_id, new_holder.sequence) AS held
            WHERE is_below(held.path, new.path)
                AND held.type <> %(error)s AND (held.type <> %(special)s OR held.detail <> 'mount')
                AND held.from_seq > old_holder.sequence
        )
    )
