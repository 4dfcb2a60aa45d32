-- The first paths of some contents on each replica, with how many copies and paths each replica has, and how many
-- different paths there are on all of them.
WITH file AS MATERIALIZED (
    {files}
), numbered AS (
    SELECT *,
        count(*) FILTER (WHERE detail IS NULL) OVER holding AS copies,
        count(*) OVER holding AS number,
        row_number() OVER (PARTITION BY sha256, position ORDER BY left(path, 512), path) AS rank
    FROM file
    WINDOW holding AS (PARTITION BY sha256, position)
), content AS (
    SELECT sha256, count(DISTINCT path) AS paths FROM file GROUP BY sha256
)
SELECT sha256, paths, position, copies, number, path, detail
FROM numbered
JOIN content USING (sha256)
WHERE rank <= %(names)s
ORDER BY sha256, position, rank
