-- All versions of some paths up to the run of each participant, with what the comparison of the run that brought each
-- version says of it.
--
-- Every LATERAL subquery looks its rows up by their key, and OFFSET 0 keeps it that way: planned as joins, whole
-- histories are read, since the planner does not know how few paths differ.
SELECT chosen.path, participant.position, version.type, version.size, version.mtime_ns, version.mode, version.uid,
    version.gid, encode(version.sha256, 'hex'), encode(version.md5, 'hex'), version.detail, version.stage,
    version.from_seq, version.until_seq, run.received_at, run.uuid, change.kind,
    change.notes IS NOT NULL AND change.notes ? 'confirmed',
    coalesce(change.notes -> 'confirmed' ->> 'ctime_same' = 'true', false), previous_run.began_at, last_run.began_at
FROM {paths} AS chosen(path)
CROSS JOIN unnest(%(positions)s::int[], %(replicas)s::int[], %(sequences)s::int[])
    AS participant(position, replica_id, sequence)
CROSS JOIN LATERAL (
    SELECT * FROM scanner_version AS held
    WHERE held.replica_id = participant.replica_id AND held.from_seq <= participant.sequence
        AND left(held.path, 512) = left(chosen.path, 512) AND held.path = chosen.path
    OFFSET 0
) AS version
LEFT JOIN LATERAL (
    SELECT brought.received_at, brought.uuid, comparison.id AS comparison_id
    FROM scanner_run AS brought
    LEFT JOIN checker_comparison AS comparison ON comparison.run_id = brought.id AND comparison.adjacent
    WHERE brought.replica_id = participant.replica_id AND brought.sequence = version.from_seq
    OFFSET 0
) AS run ON true
LEFT JOIN LATERAL (
    -- A server's clock may be fast, and its report may have waited: a run began at the earlier of both.
    SELECT least(earlier.started_at, earlier.received_at - (earlier.finished_at - earlier.started_at)) AS began_at
    FROM scanner_run AS earlier
    WHERE earlier.replica_id = participant.replica_id AND earlier.sequence < version.from_seq
        AND earlier.state = 'ingested'
    ORDER BY earlier.sequence DESC
    LIMIT 1
) AS previous_run ON true
LEFT JOIN LATERAL (
    SELECT least(last.started_at, last.received_at - (last.finished_at - last.started_at)) AS began_at
    FROM scanner_run AS last
    WHERE last.replica_id = participant.replica_id AND last.sequence < version.until_seq AND last.state = 'ingested'
    ORDER BY last.sequence DESC
    LIMIT 1
) AS last_run ON true
LEFT JOIN LATERAL (
    SELECT made.kind, made.notes FROM checker_change AS made
    WHERE made.comparison_id = run.comparison_id
        AND left(made.path, 512) = left(chosen.path, 512) AND made.path = chosen.path AND NOT made.departed
    OFFSET 0
) AS change ON true
ORDER BY chosen.path, participant.position, version.from_seq
