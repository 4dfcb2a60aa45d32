-- Remember each content that a verdict calls damaged, once for each replica.
INSERT INTO checker_knowndamage (
    group_id, replica_id, run_id, path, sha256, undamaged_sha256, ground, judged_at, reason
)
SELECT %(group)s, participant.replica_id, participant.run_id, judged.path, version.sha256,
    decode(nullif(split_part(judged.undamaged, ',', participant.position), ''), 'hex'),
    split_part(judged.grounds, ',', participant.position), %(now)s, ''
FROM diverging_judged AS judged
JOIN diverging USING (path)
CROSS JOIN unnest(%(positions)s::int[], %(replicas)s::bigint[], %(runs)s::bigint[])
    AS participant(position, replica_id, run_id)
JOIN scanner_version AS version ON version.id = diverging.versions[participant.position] AND version.type = %(file)s
WHERE judged.verdict = 'damaged' AND substr(judged.judged, participant.position, 1) = 'd'
    AND NOT EXISTS (
        SELECT FROM checker_knowndamage AS known
        WHERE known.replica_id = participant.replica_id AND known.sha256 = version.sha256
            AND left(known.path, 512) = left(judged.path, 512) AND known.path = judged.path
    )
