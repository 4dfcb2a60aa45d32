-- The missing directories.
INSERT INTO diverging_absence
SELECT * FROM unnest(
    %(directories)s::text[], %(cells)s::text[], %(marks)s::bytea[], %(currents)s::boolean[], %(positions)s::int[],
    %(runs)s::bigint[], %(findings)s::bigint[], %(sinces)s::timestamptz[])
