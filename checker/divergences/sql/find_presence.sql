-- Which participants have anything below each directory, and the largest number that one of them has there.
CREATE TEMPORARY TABLE diverging_presence AS
WITH split AS (
    SELECT position, number, string_to_array(directory, '/') AS parts FROM diverging_held
), above AS (
    SELECT position, directory_at_depth(parts, depth) AS directory,
        directory_at_depth(parts, greatest(depth - 1, 0)) AS parent, sum(number) AS number
    FROM split, generate_series(0, greatest(0, least(cardinality(parts) - 1, %(deepest)s))) AS depth
    GROUP BY 1, 2, 3
)
SELECT directory, parent, array_agg(position) AS present, max(number) AS number
FROM above
GROUP BY 1, 2
