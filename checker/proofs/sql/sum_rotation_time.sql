-- Nanoseconds of the last hour that went into verifying runs which had been ingested some time before. The first
-- verification of a new run is not rotation.
SELECT coalesce(sum(proof.duration_ns), 0)
FROM checker_proof AS proof
JOIN scanner_run AS run ON run.id = proof.run_id
WHERE proof.checked_at > now() - interval '1 hour'
    AND proof.checked_at > run.ingested_at + interval '15 minutes'
