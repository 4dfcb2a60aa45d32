-- All other names. What PostgreSQL folds of them depends on how it was built.
SELECT path FROM diverging
WHERE contents = 1 AND cells = ANY(%(patterns)s) AND octet_length(path) <> length(path)
