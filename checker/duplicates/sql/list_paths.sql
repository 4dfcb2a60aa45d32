-- All paths of the contents that waste the most, by what the contents waste.
WITH duplicate AS MATERIALIZED (
    SELECT sha256, max(size) AS size, sum(copies - 1) AS extra,
        coalesce(sum((copies - 1) * size::numeric), 0) AS waste
    FROM ({contents}) AS content
    GROUP BY sha256
    HAVING bool_or(matches) AND coalesce(sum((copies - 1) * size::numeric), 0) >= %(min_waste)s
), chosen AS (
    SELECT * FROM duplicate ORDER BY waste DESC, extra DESC, sha256 LIMIT %(limit)s
)
SELECT encode(sha256, 'hex'), size, extra, waste, position, path, detail
FROM chosen
JOIN ({files}) AS file USING (sha256)
ORDER BY waste DESC, extra DESC, sha256, position, left(path, 512), path
