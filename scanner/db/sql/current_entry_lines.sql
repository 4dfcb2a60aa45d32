-- The id and the line of each version that has not ended, in the order of a report. Reads index version_path.
SELECT id, convert_to(
    {entry_line}, 'UTF8')
FROM scanner_version
WHERE replica_id = %(replica)s AND until_seq IS NULL
ORDER BY left(path, 512), path
