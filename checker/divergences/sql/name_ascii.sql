-- The names of ASCII alone, which are most: PostgreSQL folds these as Python does.
INSERT INTO diverging_name
SELECT path, lower(path), path
FROM diverging
WHERE contents = 1 AND cells = ANY(%(patterns)s) AND octet_length(path) = length(path)
