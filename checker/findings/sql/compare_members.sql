-- Of each path of a concerned finding: whether it is again what it was before the finding. `old` is what it was then,
-- `began` what it was when the finding began, `now` what it is at the run; of a move, `now` is looked up where the path
-- was before. Of a path that changed several times while its finding was open, what it was before the first time
-- counts.
DROP TABLE IF EXISTS finding_member;

CREATE TEMPORARY TABLE finding_member ON COMMIT DROP AS
WITH unseen AS MATERIALIZED (
    -- Directories that the run could not look into: of what lies below them nothing is known.
    SELECT path || '/' AS directory
    FROM state_at(%(replica)s, %(sequence)s)
    WHERE type = %(error)s AND stage IN ('list', 'stat') OR type = %(special)s AND detail = 'mount'
)
SELECT
    finding.id AS finding_id,
    member.id AS member_id,
    CASE
        WHEN finding.kind = ANY(%(resolved_when_gone)s::text[]) THEN
            now.id IS NULL
            AND NOT EXISTS (SELECT FROM unseen WHERE starts_with(member.path, unseen.directory))
        WHEN finding.kind = ANY(%(resolved_by_same_entry)s::text[]) THEN
            (now.type, now.size, now.mtime_ns, now.mode, now.uid, now.gid, now.sha256, now.detail)
            IS NOT DISTINCT FROM
            (old.type, old.size, old.mtime_ns, old.mode, old.uid, old.gid, old.sha256, old.detail)
        WHEN finding.kind = ANY(%(resolved_by_same_content)s::text[]) THEN
            now.type = old.type
            AND now.sha256 IS NOT DISTINCT FROM old.sha256
            AND (now.type = %(file)s OR now.detail IS NOT DISTINCT FROM old.detail)
        WHEN finding.kind = ANY(%(resolved_by_reading)s::text[]) THEN
            now.type <> %(error)s AND (now.type <> %(special)s OR now.detail <> 'mount')
            -- What the medium could not give is proven by the content that was last read, and by no other one.
            AND (
                began.detail <> ALL(%(medium_errors)s::text[])
                OR old.id IS NULL
                OR now.type = old.type
                    AND now.sha256 IS NOT DISTINCT FROM old.sha256
                    AND (now.type = %(file)s OR now.detail IS NOT DISTINCT FROM old.detail)
                -- Damage from before the error has a finding of its own, which goes on.
                OR EXISTS (
                    SELECT FROM checker_finding AS damage
                    WHERE damage.replica_id = %(replica)s
                        AND damage.state = 'open'
                        AND damage.kind = 'corrupted'
                        AND damage.path = member.path
                )
            )
            -- A directory that can be listed has no version of its own, but something below it.
            OR now.id IS NULL AND began.stage IN ('list', 'stat') AND EXISTS (
                SELECT FROM state_at(%(replica)s, %(sequence)s) AS below
                WHERE is_below(below.path, member.path || '/')
            )
    END IS TRUE AS is_as_before
FROM concerned_finding AS finding
JOIN checker_change AS member ON member.finding_id = finding.id
CROSS JOIN LATERAL (SELECT CASE WHEN finding.kind = 'moved' THEN member.other ELSE member.path END AS path) AS place
LEFT JOIN scanner_version AS old ON old.id = member.old_id
LEFT JOIN scanner_version AS began ON began.id = member.new_id
LEFT JOIN state_at(%(replica)s, %(sequence)s) AS now
    ON left(now.path, 512) = left(place.path, 512)
    AND now.path = place.path
WHERE NOT EXISTS (
    SELECT FROM checker_change AS earlier
    WHERE earlier.finding_id = member.finding_id
        AND left(earlier.path, 512) = left(member.path, 512)
        AND earlier.path = member.path
        AND earlier.id < member.id
);

ANALYZE finding_member
