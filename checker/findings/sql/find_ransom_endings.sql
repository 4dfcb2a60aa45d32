-- The endings that many renamed and rewritten files (create_renamed_files.sql) got, the most frequent first.
SELECT ending, count(DISTINCT path)
FROM renamed_file
GROUP BY ending
HAVING count(DISTINCT path) >= %(least)s
ORDER BY count(DISTINCT path) DESC, length(ending), ending
LIMIT 10
