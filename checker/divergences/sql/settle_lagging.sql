-- Different contents are settled when all that are not those of the primary may be older.
UPDATE diverging SET settled = true
WHERE contents > 1 AND cells LIKE '%%~%%' AND NOT EXISTS (
    SELECT FROM unnest(versions) WITH ORDINALITY AS copy(id, position)
    JOIN scanner_version AS held ON held.id = copy.id
    JOIN scanner_version AS lead ON lead.id = versions[%(position)s]
    WHERE substr(cells, copy.position::int, 1) = '+'
        AND NOT (held.type = lead.type AND held.sha256 IS NOT DISTINCT FROM lead.sha256
            AND (held.type = %(file)s OR held.detail = lead.detail))
)
