-- The lines of the entries in the state at a run, in the order of a report. Reads index version_path.
SELECT convert_to(
    {entry_line}, 'UTF8')
FROM scanner_version
WHERE replica_id = %(replica)s
    AND from_seq <= %(sequence)s
    AND (until_seq IS NULL OR until_seq > %(sequence)s)
ORDER BY left(path, 512), path
