-- Changes in the order of their paths, with both versions of each. A parameter that is NULL does not filter. The rows
-- are chosen before their versions are looked up, so that a page costs no more than what it shows.
SELECT change.path, change.kind, change.departed, change.other, change.notes::json,
    old.type, old.size, old.mtime_ns, old.mode, old.uid, old.gid, encode(old.sha256, 'hex'), encode(old.md5, 'hex'),
    old.detail, old.stage, old.from_seq,
    new.type, new.size, new.mtime_ns, new.mode, new.uid, new.gid, encode(new.sha256, 'hex'), encode(new.md5, 'hex'),
    new.detail, new.stage, new.from_seq
FROM (
    SELECT * FROM checker_change
    WHERE (%(comparison)s IS NULL OR comparison_id = %(comparison)s)
        AND (%(finding)s IS NULL OR finding_id = %(finding)s)
        AND (%(lower)s IS NULL OR left(path, 512) >= left(%(lower)s, 512) AND path >= %(lower)s)
        AND (%(upper)s IS NULL OR left(path, 512) <= left(%(upper)s, 512) AND path < %(upper)s)
        AND (%(kind)s IS NULL OR kind = %(kind)s)
        AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s::text[]))
        AND (%(search)s IS NULL OR path LIKE %(search)s)
        AND (%(with_departed)s OR NOT departed)
        AND (%(name_offset)s IS NULL OR strpos(substr(path, %(name_offset)s), '/') = 0)
    ORDER BY left(path, 512), path
    LIMIT %(limit)s
) AS change
LEFT JOIN scanner_version AS old ON old.id = change.old_id
LEFT JOIN scanner_version AS new ON new.id = change.new_id
ORDER BY left(change.path, 512), change.path
