-- A path that was lost with all of its directory, and now by itself, keeps the finding of the directory: as long as it
-- is what the holder had there then, and, where the finding was accepted, had there when it was.
--
-- The parts say which replicas hold the path of a new row, and which held the directory.
CREATE INDEX ON diverging_kept ("left"(path, 512));

UPDATE diverging_kept AS new SET finding_id = part.finding_id, since = part.since
FROM (
    SELECT part.path, old.finding_id, old.since
    FROM checker_divergence AS old
    JOIN scanner_run AS holder ON holder.id = old.holder
    LEFT JOIN checker_finding AS finding ON finding.id = old.finding_id AND finding.state = 'accepted'
    CROSS JOIN LATERAL (
        SELECT coalesce(max(sequence), 0) AS sequence FROM scanner_run
        WHERE replica_id = holder.replica_id AND (finding.id IS NULL OR ingested_at <= finding.closed_at)
    ) AS attributed
    CROSS JOIN LATERAL (
        SELECT candidate.path FROM diverging_kept AS candidate
        JOIN scanner_version AS now ON now.id = candidate.versions[strpos(candidate.cells, '+')]
        WHERE is_below(candidate.path, old.path) AND candidate.fresh AND candidate.number IS NULL
            AND candidate.kind = old.kind
            AND {holding} = {held}
            AND EXISTS (
                SELECT FROM scanner_version AS was
                WHERE was.replica_id = holder.replica_id
                    AND left(was.path, 512) = left(now.path, 512) AND was.path = now.path
                    AND was.from_seq <= least(holder.sequence, attributed.sequence)
                    AND (was.until_seq IS NULL OR was.until_seq > holder.sequence)
                    AND (was.type, was.sha256) IS NOT DISTINCT FROM (now.type, now.sha256)
                    AND (now.type = %(file)s OR was.detail = now.detail)
                    AND NOT EXISTS (
                        SELECT FROM checker_divergence AS own
                        WHERE own.comparison_id = %(comparison)s
                            AND left(own.path, 512) = left(now.path, 512) AND own.path = now.path
                    )
            )
        OFFSET 0
    ) AS part
    WHERE old.comparison_id = %(comparison)s AND old.number IS NOT NULL
) AS part
WHERE new.path = part.path
