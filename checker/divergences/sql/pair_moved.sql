-- Pair each missing path with another one of the same content that is there instead, by one key: nearly the same path,
-- the same name, the same directory, or nothing but the content. Somewhere else it must be the other way round.
WITH keyed AS (
    SELECT path, position, cell, cells, sha256,
        CASE %(key)s
            WHEN 'spelling' THEN folded
            WHEN 'name' THEN name_of(path)
            WHEN 'directory' THEN directory_of(path)
            ELSE ''
        END AS key
    FROM diverging_side
    WHERE sha256 <> %(empty_file)s
), ranked AS (
    SELECT path, position, cell, cells, sha256, key,
        row_number() OVER (PARTITION BY position, cell, sha256, key ORDER BY path) AS rank
    FROM keyed
), pair AS (
    SELECT gone.path, gone.position, come.path AS other
    FROM ranked AS gone
    JOIN ranked AS come USING (position, sha256, key, rank)
    WHERE gone.cell = '-' AND come.cell = '+'
        AND EXISTS (
            SELECT FROM generate_series(1, length(gone.cells)) AS elsewhere
            WHERE substr(gone.cells, elsewhere, 1) = '+' AND substr(come.cells, elsewhere, 1) = '-')
), taken AS (
    DELETE FROM diverging_side AS side USING pair
    WHERE side.position = pair.position AND side.path IN (pair.path, pair.other)
), paired AS (
    SELECT path, jsonb_object_agg(position, other) AS others, array_agg(position) AS positions
    FROM pair
    GROUP BY path
)
UPDATE diverging
SET others = coalesce(diverging.others, '{}') || paired.others,
    cells = (
        SELECT string_agg(
            CASE WHEN position = ANY(paired.positions) THEN '>' ELSE substr(cells, position, 1) END,
            '' ORDER BY position)
        FROM generate_series(1, length(cells)) AS position)
FROM paired
WHERE diverging.path = paired.path
