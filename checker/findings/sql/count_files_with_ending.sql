-- How many files of a run end like that. Counting stops at `most`.
SELECT count(*)
FROM (
    SELECT
    FROM state_at(%(replica)s, %(sequence)s) AS version
    WHERE version.type = %(file)s
        AND right(version.path, length(%(ending)s::text) + 1) = '.' || %(ending)s::text
    LIMIT %(most)s
) AS file
