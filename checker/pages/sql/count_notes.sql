-- What these runs noted that counts for a status: names that they left out, and files that were misread at first. A
-- note of left-out names says how many there are below a directory; one that is signed and has no number stands for
-- one.
SELECT note.run_id, note.note, sum(
    CASE jsonb_typeof(note_members(note.detail) -> 'count')
        WHEN 'number' THEN greatest(1, (note_members(note.detail) ->> 'count')::numeric)
        ELSE 1
    END
)
FROM scanner_note AS note
-- Each kind of note has an index of its own: few runs have any of them.
WHERE note.run_id = ANY(%(runs)s::bigint[]) AND (note.note = 'misread' OR note.note = 'skipped')
GROUP BY note.run_id, note.note
