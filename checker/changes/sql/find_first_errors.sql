-- Paths of a first run that it could not read. Nothing else of a first run is a change.
SELECT path, NULL::bigint AS old_id, NULL::smallint AS old_type, NULL::text AS old_stage, id AS new_id
FROM state_at(%(replica)s, %(run)s)
WHERE type = %(error)s
