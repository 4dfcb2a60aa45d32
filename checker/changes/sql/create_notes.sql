-- The notes of the runs since the earlier one, by path, with the run that was the newest complete one before each: a
-- collector that has lost nothing compared with that one.
CREATE TEMPORARY TABLE run_note AS
SELECT run.sequence, run.previous_run, note.path, jsonb_object_agg(note.note, note_members(note.detail)) AS notes
FROM (
    SELECT id, sequence, lag(uuid) OVER (ORDER BY sequence)::text AS previous_run
    FROM scanner_run
    WHERE replica_id = %(replica)s AND state = 'ingested' AND sequence <= %(run)s
) AS run
JOIN scanner_note AS note ON note.run_id = run.id
WHERE run.sequence > %(base)s AND note.note IN ('confirmed', 'misread', 'clock')
GROUP BY run.sequence, run.previous_run, note.path;

ANALYZE run_note
