-- A page of the notes of a run, in the order of its report. Reads index note_run.
SELECT id, note, path, detail
FROM scanner_note
WHERE run_id = %(run)s AND id > %(after_id)s
ORDER BY id
LIMIT %(limit)s
