-- A page of contents by what they waste, with the totals of all contents beside each. A size may be any number of 64
-- bits that a server reports, so that a product of it needs more digits.
WITH duplicate AS MATERIALIZED (
    SELECT sha256, min(smallest) AS smallest, max(size) AS size, sum(copies - 1) AS extra,
        coalesce(sum((copies - 1) * size::numeric), 0) AS waste, bool_or(size IS NULL) AS is_unsized
    FROM ({contents}) AS content
    GROUP BY sha256
    HAVING bool_or(matches) AND coalesce(sum((copies - 1) * size::numeric), 0) >= %(min_waste)s
), total AS (
    SELECT count(*), coalesce(sum(extra), 0), coalesce(sum(waste), 0), count(*) FILTER (WHERE is_unsized)
    FROM duplicate
)
SELECT total.*, page.*
FROM total
LEFT JOIN (
    SELECT sha256, smallest, size, extra, waste
    FROM duplicate
    WHERE %(sha256)s IS NULL
        OR (-waste, -extra, sha256) > (-(%(waste)s::numeric), -(%(extra)s::numeric), decode(%(sha256)s, 'hex'))
    ORDER BY waste DESC, extra DESC, sha256
    LIMIT %(limit)s
) AS page ON true
ORDER BY waste DESC, extra DESC, sha256
