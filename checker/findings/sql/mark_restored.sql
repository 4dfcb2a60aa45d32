-- Changes that make a path again what it was before an open finding are no findings of their own. Being read again
-- restores nothing by itself: with another content it is a change like any other.
UPDATE checker_change AS change
SET restores = true
FROM finding_member AS member
WHERE change.comparison_id = %(comparison)s
    AND left(change.path, 512) = left(member.path, 512)
    AND change.path = member.path
    AND change.kind <> 'unreadable'
    AND member.comparison_id <> %(comparison)s
    AND member.is_as_before
    AND member.kind <> ALL(%(resolved_by_reading)s::text[])
