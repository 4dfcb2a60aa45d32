-- Close the open findings of which nothing diverges any more, unless that proves nothing:
-- - a finding that concerns a replica of which nothing is known now stays open;
-- - damage is not mended while its copies agree on what may be damage, see renew_spread_damage;
-- - damage is not mended while a damaged copy is what it was: it may have been copied over the good ones;
-- - a missing path is not back when the replica that had it has left the group, and it is still missing elsewhere.
UPDATE checker_finding AS finding
SET state = 'resolved', closed_at = %(now)s, last_run_id = %(run)s
WHERE finding.group_id = %(group)s
    AND finding.replica_id IS NULL
    AND finding.state = 'open'
    AND finding.kind IN ('lost', 'mismatch')
    AND NOT finding.id = ANY(%(unproven)s::bigint[])
    AND finding.concerns <@ %(replicas)s::integer[]
    AND NOT EXISTS (SELECT FROM checker_divergence AS divergence WHERE divergence.finding_id = finding.id)
    AND NOT EXISTS (
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
    )
    AND NOT (
        EXISTS (
            SELECT
            FROM jsonb_array_elements(finding.evidence -> 'copies') AS copy
            WHERE NOT (copy ->> 'replica')::integer = ANY(%(replicas)s::integer[])
        )
        AND EXISTS (
            SELECT
            FROM jsonb_array_elements(finding.evidence -> 'copies') AS copy
            JOIN scanner_run AS run
                ON run.id = ANY(%(runs)s::bigint[])
                AND run.replica_id = (copy ->> 'replica')::integer
            LEFT JOIN state_at(run.replica_id, run.sequence) AS version
                ON left(version.path, 512) = left(finding.path, 512)
                AND version.path = finding.path
            WHERE copy ->> 'cell' = %(missing)s AND version.id IS NULL
        )
    )
RETURNING finding.id
