-- Branches below the directory that all candidates have in common: a directory with its slash, or a single path.
SELECT
    CASE
        WHEN strpos(substr(path, %(skip)s), '/') > 0
        THEN left(path, %(skip)s - 1 + strpos(substr(path, %(skip)s), '/'))
        ELSE path
    END AS branch,
    sum(number)::bigint,
    min(path),
    min(since)
FROM finding_candidate
GROUP BY branch
ORDER BY branch
LIMIT %(limit)s
