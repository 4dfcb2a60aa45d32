-- Changes that make a path again what it was before an open finding are no findings of their own. Being read again
-- restores nothing by itself: with another content it is a change like any other.
UPDATE checker_change AS change
SET restores = true
FROM touched_member AS touched
JOIN finding_member AS member ON member.member_id = touched.member_id
WHERE change.id = touched.change_id
    AND touched.change_kind <> 'unreadable'
    AND (touched.kind <> ALL(%(resolved_by_reading)s::text[]) OR touched.change_kind = 'reverted')
    AND member.is_as_before
