-- Files of a comparison that came back under another ending and with another content, as encrypting malware leaves
-- them: a.jpg → a.jpg.locked, or a.jpg → a.locked.
--
-- What is appended may have several parts (a.jpg.id-1A2B.[pay@example.org].locked), so each dot of a name may be where
-- the ending begins, and a file has a row for each that fits. An ending that differs from the one before in its digits
-- alone is a version, as on a patch day. A renamed and rewritten file that kept size and time is one change already.
DROP TABLE IF EXISTS renamed_file;
CREATE TEMPORARY TABLE renamed_file ON COMMIT DROP AS
WITH removed AS (
    SELECT
        change.path,
        regexp_replace(change.path, '\.[^./]+$', '') AS stem,
        substring(change.path FROM '\.([^./]+)$') AS ending,
        count(*) OVER (PARTITION BY substring(change.path FROM '\.([^./]+)$')) AS with_ending,
        old.sha256
    FROM checker_change AS change
    JOIN scanner_version AS old ON old.id = change.old_id AND old.type = %(file)s
    WHERE change.comparison_id = %(comparison)s
        AND (change.kind = 'removed' OR change.departed AND change.kind IN ('rewritten', 'corrupted'))
), added AS (
    SELECT
        change.path,
        array_to_string(parts[:dot], '.') AS stem,
        array_to_string(parts[dot + 1:], '.') AS ending,
        parts[cardinality(parts)] AS last_part,
        dot = cardinality(parts) - 1 AS is_last_dot,
        new.sha256
    FROM checker_change AS change
    JOIN scanner_version AS new ON new.id = change.new_id AND new.type = %(file)s
    CROSS JOIN LATERAL (SELECT string_to_array(change.path, '.') AS parts) AS split
    CROSS JOIN LATERAL generate_series(greatest(1, cardinality(parts) - 6), cardinality(parts) - 1) AS dot
    WHERE change.comparison_id = %(comparison)s
        AND (
            change.kind = 'added'
            OR change.other IS NOT NULL AND NOT change.departed AND change.kind IN ('rewritten', 'corrupted')
        )
), split_name AS (
    -- A name that begins with its only dot has no ending.
    SELECT *
    FROM added
    WHERE ending <> '' AND strpos(ending, '/') = 0 AND stem <> '' AND right(stem, 1) <> '/'
)
SELECT split_name.path, split_name.ending, split_name.last_part, NULL AS replaced
FROM split_name
JOIN removed ON removed.path = split_name.stem AND removed.sha256 <> split_name.sha256
UNION
-- `replaced` is how many files lost the ending that is replaced: zero where the file had none.
SELECT
    split_name.path,
    split_name.ending,
    split_name.last_part,
    CASE WHEN removed.ending IS NULL THEN 0 ELSE removed.with_ending END
FROM split_name
JOIN removed ON removed.stem = split_name.stem AND removed.sha256 <> split_name.sha256
WHERE split_name.is_last_dot
    AND NOT starts_with(split_name.path, removed.path || '.')
    AND regexp_replace(split_name.ending, '[0-9]+', '0', 'g')
        IS DISTINCT FROM regexp_replace(removed.ending, '[0-9]+', '0', 'g');
ANALYZE renamed_file
