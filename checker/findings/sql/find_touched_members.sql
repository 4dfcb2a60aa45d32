-- Paths of open findings that changed again with a comparison. A move is undone where the path was before.
DROP TABLE IF EXISTS changed_path;

CREATE TEMPORARY TABLE changed_path ON COMMIT DROP AS
SELECT change.id, change.kind, change.path
FROM checker_change AS change
WHERE change.comparison_id = %(comparison)s;

ANALYZE changed_path;

DROP TABLE IF EXISTS touched_member;

CREATE TEMPORARY TABLE touched_member ON COMMIT DROP AS
SELECT
    finding.id AS finding_id,
    finding.kind,
    member.id AS member_id,
    changed.id AS change_id,
    changed.kind AS change_kind
FROM open_finding AS finding
JOIN checker_change AS member ON member.finding_id = finding.id AND member.comparison_id <> %(comparison)s
JOIN changed_path AS changed
    ON changed.path = CASE WHEN finding.kind = 'moved' THEN member.other ELSE member.path END;

ANALYZE touched_member
