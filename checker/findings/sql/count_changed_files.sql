-- Files that a comparison changed, and that are still there.
SELECT count(*)
FROM checker_change AS change
JOIN scanner_version AS old ON old.id = change.old_id AND old.type = %(file)s
WHERE change.comparison_id = %(comparison)s AND change.kind = ANY(%(kinds)s::text[])
