-- Count the changes below each directory above them, the root among these, down to a depth that no honest tree reaches.
WITH parent AS (
    SELECT directory_of(path) AS directory, kind, count(*) AS number
    FROM found_change
    GROUP BY directory_of(path), kind
), split AS (
    SELECT string_to_array(directory, '/') AS parts, kind, number FROM parent
)
INSERT INTO checker_branch (comparison_id, number, depth, kind, directory)
SELECT %(comparison)s, sum(number), depth, kind, directory_at_depth(parts, depth) AS directory
FROM split
CROSS JOIN generate_series(0, greatest(0, least(cardinality(parts) - 1, %(deepest)s))) AS depth
GROUP BY depth, kind, directory_at_depth(parts, depth)
