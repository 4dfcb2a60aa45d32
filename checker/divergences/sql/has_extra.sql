-- Whether some participant that lacks the directories has what the holders of them lack.
SELECT EXISTS (
    SELECT FROM diverging AS divergence
    CROSS JOIN unnest(%(lacking)s::int[]) AS position
    WHERE divergence.versions[position] IS NOT NULL
        AND EXISTS (
            SELECT FROM unnest(%(holding)s::int[]) AS holder WHERE divergence.versions[holder] IS NULL)
)
