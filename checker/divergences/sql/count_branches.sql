-- How many paths of each kind diverge below each directory above a divergence, the root (empty) among them.
--
-- The parts have a column for each participant, with the number of paths that are wrong there: of rows of their own, of
-- the directories of missing ones, and the sums of both.
WITH parent AS (
    SELECT directory_of(path) AS directory, kind, count(*) AS number,
        count(*) FILTER (WHERE verdict = 'damaged') AS damaged, {wrong}
    FROM diverging_kept
    WHERE number IS NULL
    GROUP BY 1, 2
    UNION ALL
    SELECT directory.directory, 'lost', directory.number, 0, {missing}
    FROM diverging_directory AS directory
    JOIN diverging_absence AS absence ON absence.path = directory.missing_directory
), split AS (
    SELECT *, string_to_array(directory, '/') AS parts FROM parent
)
INSERT INTO checker_divergencebranch (comparison_id, number, damaged, wrong, depth, kind, directory)
SELECT %(comparison)s, sum(number), sum(damaged), ARRAY[{sums}]::bigint[], depth, kind,
    directory_at_depth(parts, depth) AS branch
FROM split, generate_series(0, greatest(0, least(cardinality(parts) - 1, %(deepest)s))) AS depth
GROUP BY depth, kind, branch
