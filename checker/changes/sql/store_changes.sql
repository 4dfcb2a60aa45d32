-- Store the changes that were found, in the order of their paths, in which pages read them.
INSERT INTO checker_change (comparison_id, old_id, new_id, kind, departed, restores, path, other, notes)
SELECT %(comparison)s, old_id, new_id, kind, departed, false, path, other, notes
FROM found_change
ORDER BY path
