-- What may lag is no excuse for what came, or may have come, by damage, be it on the primary or on a follower.
UPDATE diverging
SET settled = false,
    cells = (
        SELECT string_agg(
            CASE
                WHEN substr(cells, position, 1) = '~' AND versions[position] IS NOT NULL THEN '+'
                ELSE substr(cells, position, 1)
            END,
            '' ORDER BY position)
        FROM generate_series(1, length(cells)) AS position)
FROM diverging_judged AS judged
WHERE judged.path = diverging.path AND settled AND judged.is_suspicious
