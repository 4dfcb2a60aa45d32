-- The table of paths that differ. `last_read_id` is the last version that was read by the earlier run. Later statements
-- fill the flags: hidden at the earlier or at the later run, left out by other excludes, and, for a directory that
-- could not be listed, whether there are entries below it now.
CREATE TEMPORARY TABLE difference AS
SELECT differing.*, CASE WHEN old_type <> %(error)s THEN old_id END AS last_read_id, false AS hidden_before,
    false AS hidden_now, false AS out_of_scope, false AS has_entries_below
FROM ({differing}) AS differing;

CREATE INDEX ON difference (left(path, 512));
ANALYZE difference
