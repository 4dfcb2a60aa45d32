-- Each path with each participant on which it is missing or present. The indexes are hash indexes: a name may be longer
-- than what a B-tree holds.
CREATE INDEX ON diverging_name USING hash (path);
CREATE INDEX ON diverging_name USING hash (folded);
ANALYZE diverging_name;

CREATE TEMPORARY TABLE diverging_side AS
SELECT divergence.path, spelled.folded, position, substr(divergence.cells, position, 1) AS cell, divergence.cells,
    held.sha256
FROM diverging AS divergence
JOIN diverging_name AS spelled USING (path)
JOIN scanner_version AS held ON held.id = (SELECT max(id) FROM unnest(divergence.versions) AS id)
CROSS JOIN unnest(%(positions)s::int[]) AS position
WHERE substr(divergence.cells, position, 1) IN ('-', '+');

ANALYZE diverging_side
