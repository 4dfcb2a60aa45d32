-- The lines of the notes of a run, in the order of its report.
SELECT convert_to(
    '{"note":' || to_json(note) || ',"path":' || to_json(path)
    || CASE detail WHEN '' THEN '}' ELSE ',' || substr(detail, 2) END || E'\n', 'UTF8')
FROM scanner_note
WHERE run_id = %(run)s
ORDER BY path, note
