-- Renamed and rewritten files (create_renamed_files.sql) with an ending that no file had before: each may have one of
-- its own.
--
-- A version in a name is no such ending: libz.so.1.2.11 → libz.so.1.2.13, or -13-amd64 → -14-amd64. Neither is one that
-- replaces what was nobody else's ending either: names with a digest in them are new with each content.
WITH known AS (
    SELECT DISTINCT substring(path FROM '\.([^./]+)$') AS ending
    FROM state_at(%(replica)s, %(sequence)s)
    WHERE type = %(file)s
)
SELECT count(DISTINCT path)
FROM renamed_file
WHERE last_part <> ''
    AND last_part !~ '^[0-9]+$'
    AND last_part <> ALL(%(packers)s::text[])
    AND (replaced IS NULL OR replaced > 1)
    AND NOT EXISTS (SELECT FROM known WHERE known.ending = renamed_file.last_part)
