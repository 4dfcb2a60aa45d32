-- Renamed and rewritten files (create_renamed_files.sql) with an ending that no file had before: each may have one of
-- its own.
--
-- A version in a name is no such ending: libz.so.1.2.11 → libz.so.1.2.13, or -13-amd64 → -14-amd64. Neither is one that
-- replaces what was nobody else's ending either: names with a digest in them are new with each content.
WITH candidate AS (
    SELECT DISTINCT path, last_part
    FROM renamed_file
    WHERE last_part <> ''
        AND last_part !~ '^[0-9]+$'
        AND last_part <> ALL(%(packers)s::text[])
        AND (replaced IS NULL OR replaced > 1)
), known AS (
    -- What follows the last dot of a path has a slash where the name has no dot: then it is no ending.
    SELECT DISTINCT split_part(version.path, '.', -1) AS ending
    FROM state_at(%(replica)s, %(sequence)s) AS version
    WHERE version.type = %(file)s
        AND split_part(version.path, '.', -1) IN (SELECT last_part FROM candidate)
        AND strpos(version.path, '.') > 0
)
SELECT count(*)
FROM candidate
WHERE NOT EXISTS (SELECT FROM known WHERE known.ending = candidate.last_part)
