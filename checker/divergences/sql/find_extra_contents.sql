-- The contents of the paths that participants without the directories have and some holder of them lacks: the missing
-- paths may have come under these names. OFFSET 0 makes the versions be joined by a hash: nobody knows beforehand how
-- many there are.
DROP TABLE IF EXISTS diverging_extra;

CREATE TEMPORARY TABLE diverging_extra AS
SELECT DISTINCT version.sha256
FROM (
    SELECT divergence.versions[position] AS id
    FROM diverging AS divergence
    CROSS JOIN unnest(%(lacking)s::int[]) AS position
    WHERE divergence.versions[position] IS NOT NULL
        AND EXISTS (
            SELECT FROM unnest(%(holding)s::int[]) AS holder WHERE divergence.versions[holder] IS NULL)
    OFFSET 0
) AS extra
JOIN scanner_version AS version USING (id)
WHERE version.sha256 <> %(empty_file)s;

ANALYZE diverging_extra
