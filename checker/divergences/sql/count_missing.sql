-- How many paths lie directly in each directory of a missing one, as its first holder has them. What diverges otherwise
-- has rows of its own.
INSERT INTO diverging_directory
SELECT absence.path, held.directory, held.visible - coalesce(own.number, 0)
FROM (
    SELECT position, directory, visible,
        (%(directories)s::text[])[width_bucket(directory, %(directories)s::text[] COLLATE "C")] AS path
    FROM diverging_held
) AS held
JOIN diverging_absence AS absence USING (path, position)
LEFT JOIN (
    SELECT directory_of(path) AS directory, position, count(*) AS number
    FROM diverging
    CROSS JOIN (SELECT DISTINCT unnest(%(positions)s::int[]) AS position) AS holder
    WHERE versions[position] IS NOT NULL AND substr(cells, position, 1) <> '!'
    GROUP BY 1, 2
) AS own USING (directory, position)
WHERE starts_with(held.directory, absence.path) AND held.visible > coalesce(own.number, 0)
