-- What diverges no longer.
DELETE FROM checker_divergence AS old
WHERE old.comparison_id = %(comparison)s
    AND NOT EXISTS (
        SELECT FROM diverging_kept AS new
        WHERE left(new.path, 512) = left(old.path, 512) AND new.path = old.path
    )
