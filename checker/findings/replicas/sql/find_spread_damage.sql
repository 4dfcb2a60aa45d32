-- Open findings of what is or was damage beside which no replica has anything else any more: nothing diverges, yet
-- nothing may be mended. A copy that was damaged is so still when a replica has the same content at the path; whether
-- what replaced it is in doubt, only its history tells.
SELECT finding.id, finding.path
FROM checker_finding AS finding
WHERE finding.group_id = %(group)s
    AND finding.replica_id IS NULL
    AND finding.state = 'open'
    AND finding.kind IN ('lost', 'mismatch')
    AND finding.concerns <@ %(replicas)s::integer[]
    AND NOT EXISTS (SELECT FROM checker_divergence AS divergence WHERE divergence.finding_id = finding.id)
    AND (coalesce((finding.evidence ->> 'was_damage')::boolean, false) OR EXISTS (
        SELECT
        FROM jsonb_array_elements(finding.evidence -> 'copies') AS copy
        JOIN scanner_run AS run
            ON run.id = ANY(%(runs)s::bigint[])
            AND run.replica_id = (copy ->> 'replica')::integer
        JOIN state_at(run.replica_id, run.sequence) AS version
            ON left(version.path, 512) = left(finding.path, 512)
            AND version.path = finding.path
        WHERE copy ->> 'copy' = %(damaged_copy)s
            AND version.type = (copy ->> 'type')::integer
            AND encode(version.sha256, 'hex') IS NOT DISTINCT FROM copy ->> 'sha256'
            AND (version.type = %(file)s OR version.detail = copy ->> 'detail')
    ))
    AND NOT EXISTS (
        SELECT
        FROM checker_divergence AS divergence
        WHERE divergence.comparison_id = %(comparison)s
            AND left(divergence.path, 512) = left(finding.path, 512)
            AND divergence.path = finding.path
            AND divergence.kind = 'mismatch'
    )
ORDER BY finding.id
