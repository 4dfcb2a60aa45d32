-- The paths that participants without the directories have and some holder of them lacks.
SELECT DISTINCT divergence.path
FROM diverging AS divergence
CROSS JOIN unnest(%(lacking)s::int[]) AS position
WHERE divergence.versions[position] IS NOT NULL
    AND EXISTS (
        SELECT FROM unnest(%(holding)s::int[]) AS holder WHERE divergence.versions[holder] IS NULL)
