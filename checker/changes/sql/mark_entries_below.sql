-- An error that is gone was that of a directory when there are entries below its path now.
UPDATE difference SET has_entries_below = true
WHERE old_type = %(error)s AND new_id IS NULL
    AND EXISTS (
        SELECT FROM state_at(%(replica)s, %(run)s) AS version WHERE is_below(version.path, difference.path || '/')
    )
