-- Whether missing directories are stored of a comparison.
SELECT EXISTS (SELECT FROM checker_divergence WHERE comparison_id = %(comparison)s AND number IS NOT NULL)
