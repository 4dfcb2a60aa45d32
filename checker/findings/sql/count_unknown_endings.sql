-- Files that got an ending which no file had before, and another content: each may have one of its own.
--
-- A version in a name is no such ending: libz.so.1.2.11 → libz.so.1.2.13, or -13-amd64 → -14-amd64. Neither is one that
-- replaces what was nobody else's ending either: names with a digest in them are new with each content. A renamed and
-- rewritten file that kept size and time is one change already.
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
        parts[cardinality(parts)] AS ending,
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
), renamed AS (
    SELECT added.path, added.ending
    FROM added
    JOIN removed ON removed.path = added.stem AND removed.sha256 <> added.sha256
    UNION
    SELECT added.path, added.ending
    FROM added
    JOIN removed ON removed.stem = added.stem AND removed.sha256 <> added.sha256
    WHERE added.is_last_dot
        AND removed.with_ending > 1
        AND NOT starts_with(added.path, removed.path || '.')
        AND regexp_replace(added.ending, '[0-9]+', '0', 'g') <> regexp_replace(removed.ending, '[0-9]+', '0', 'g')
), known AS (
    SELECT DISTINCT substring(path FROM '\.([^./]+)$') AS ending
    FROM state_at(%(replica)s, %(sequence)s)
    WHERE type = %(file)s
)
SELECT count(DISTINCT renamed.path)
FROM renamed
WHERE renamed.ending <> ''
    AND strpos(renamed.ending, '/') = 0
    AND renamed.ending !~ '^[0-9]+$'
    AND renamed.ending <> ALL(%(packers)s::text[])
    AND NOT EXISTS (SELECT FROM known WHERE known.ending = renamed.ending)
