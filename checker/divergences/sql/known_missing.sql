-- The missing directories of the previous comparison, with their findings, and whether other rows lie below them.
-- The part says which replicas held the directory.
SELECT missing.path, missing.mark, {held}, missing.finding_id, missing.since, finding.closed_at,
    EXISTS (
        SELECT FROM checker_divergence AS own
        WHERE own.comparison_id = missing.comparison_id AND own.number IS NULL AND is_below(own.path, missing.path)
    )
FROM checker_divergence AS missing
LEFT JOIN checker_finding AS finding ON finding.id = missing.finding_id AND finding.state = 'accepted'
WHERE missing.comparison_id = %(comparison)s AND missing.number IS NOT NULL
