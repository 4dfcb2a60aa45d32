-- The contents of some paths that comparisons of the group found damaged, each with the content that was there before,
-- and whether a person said that they are right.
SELECT damage.path, encode(damage.sha256, 'hex'), encode(max(damage.undamaged_sha256), 'hex'),
    bool_or(damage.ended_at IS NOT NULL)
FROM {paths} AS chosen(path)
JOIN checker_knowndamage AS damage
    ON left(damage.path, 512) = left(chosen.path, 512) AND damage.path = chosen.path
WHERE damage.group_id = (SELECT group_id FROM scanner_replica WHERE id = (%(replicas)s::int[])[1])
    AND (%(moment)s::timestamptz IS NULL OR damage.judged_at <= %(moment)s)
GROUP BY damage.path, damage.sha256
