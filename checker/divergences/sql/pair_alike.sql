-- Name beside each missing path one that is there and is spelled almost alike: in another case, or in another
-- normalisation.
WITH pair AS (
    SELECT gone.path, place.position, min(come.path) AS other, bool_or(name.composed = alike.composed) AS unicode
    FROM diverging_name AS name
    JOIN diverging_name AS alike ON alike.folded = name.folded AND alike.path <> name.path
    JOIN diverging AS gone ON gone.path = name.path
    JOIN diverging AS come ON come.path = alike.path
    CROSS JOIN LATERAL (SELECT generate_series(1, length(gone.cells)) AS position) AS place
    WHERE gone.versions[place.position] IS NULL AND come.versions[place.position] IS NOT NULL
        AND EXISTS (
            SELECT FROM generate_series(1, length(gone.cells)) AS elsewhere
            WHERE gone.versions[elsewhere] IS NOT NULL AND come.versions[elsewhere] IS NULL)
    GROUP BY gone.path, place.position
), paired AS (
    SELECT path, jsonb_object_agg(position, other) AS others, bool_or(unicode) AS unicode
    FROM pair
    GROUP BY path
)
UPDATE diverging
SET others = paired.others || coalesce(diverging.others, '{}'),
    alike = CASE WHEN paired.unicode THEN 'unicode' ELSE 'case' END
FROM paired
WHERE diverging.path = paired.path
