-- How many files of a run end like that. Counting stops at `most`.
SELECT count(*)
FROM (
    SELECT
    FROM scanner_version AS version
    WHERE version.replica_id = %(replica)s
        AND version.type = %(file)s
        AND version.from_seq <= %(sequence)s
        AND (version.until_seq IS NULL OR version.until_seq > %(sequence)s)
        AND right(version.path, length(%(ending)s::text) + 1) = '.' || %(ending)s::text
    LIMIT %(most)s
) AS file
