-- Fill `diverging_kept` with what is to be stored of a comparison: the paths that diverge, and the missing directories.
-- What is as it was keeps its finding, and the time since when it is so.
--
-- The kind of a path is its gravest one. A path has none, and is not kept, when nobody lacks it or all may lack it.
CREATE TEMPORARY TABLE diverging_kept AS
SELECT %(comparison)s::bigint AS comparison_id, new.*,
    coalesce(old.finding_id, new.attributed_finding_id) AS finding_id,
    coalesce(old.since, new.attributed_since, %(now)s) AS since,
    old.id IS NULL AS fresh
FROM (
    SELECT * FROM (
        SELECT path, versions, cells,
            CASE
                WHEN contents > 1 AND NOT settled THEN 'mismatch'
                WHEN contents > 0 AND cells LIKE '%%-%%' THEN 'lost'
                WHEN cells ~ '[?!]' THEN 'unknown'
                WHEN cells LIKE '%%>%%' THEN 'moved'
                WHEN cells ~ '~' THEN
                    CASE WHEN substr(cells, %(primary_position)s, 1) = '.' THEN 'lingering' ELSE 'lagging' END
            END AS kind,
            coalesce(verdict, '') AS verdict, coalesce(judged, '') AS judged, others, alike,
            int8send(mark0) || int8send(mark1) AS mark,
            CASE
                WHEN contents > 1 THEN contents_current > 1
                WHEN contents = 1 AND cells LIKE '%%-%%'
                    THEN contents_current > 0 AND cells LIKE ANY(%(missing_on_voter)s::text[])
                ELSE true
            END AS current,
            NULL::bigint AS number, NULL::bigint AS holder,
            NULL::bigint AS attributed_finding_id, NULL::timestamptz AS attributed_since
        FROM diverging
        LEFT JOIN diverging_judged USING (path)
    ) AS path_with_kind
    WHERE kind IS NOT NULL
    UNION ALL
    SELECT path, array_fill(NULL::bigint, ARRAY[length(cells)]), cells, 'lost', '', '', NULL, '', mark, current,
        sum(number), holder, finding_id, since
    FROM diverging_absence
    JOIN diverging_directory ON missing_directory = path
    GROUP BY path, cells, mark, current, holder, finding_id, since
) AS new
LEFT JOIN checker_divergence AS old
    ON old.comparison_id = %(comparison)s AND left(old.path, 512) = left(new.path, 512) AND old.path = new.path
    AND (old.mark, old.kind, old.verdict) = (new.mark, new.kind, new.verdict);

ANALYZE diverging_kept
