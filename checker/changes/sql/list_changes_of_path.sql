-- All changes of one path, by the run that brought them: those of adjacent comparisons.
SELECT run.sequence,
    change.path, change.kind, change.departed, change.other, change.notes::json,
    old.type, old.size, old.mtime_ns, old.mode, old.uid, old.gid, encode(old.sha256, 'hex'), encode(old.md5, 'hex'),
    old.detail, old.stage, old.from_seq,
    new.type, new.size, new.mtime_ns, new.mode, new.uid, new.gid, encode(new.sha256, 'hex'), encode(new.md5, 'hex'),
    new.detail, new.stage, new.from_seq
FROM checker_comparison AS comparison
JOIN scanner_run AS run ON run.id = comparison.run_id
JOIN checker_change AS change ON change.comparison_id = comparison.id
LEFT JOIN scanner_version AS old ON old.id = change.old_id
LEFT JOIN scanner_version AS new ON new.id = change.new_id
WHERE comparison.replica_id = %(replica)s AND comparison.adjacent
    AND left(change.path, 512) = left(%(path)s, 512) AND change.path = %(path)s
ORDER BY run.sequence
