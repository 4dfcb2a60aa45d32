-- The directories at one depth between two bounds in which something diverges. A parameter that is NULL does not
-- filter. The part sums up what is damaged, and what is wrong on each participant.
SELECT directory, json_object_agg(kind, number), {sums}
FROM checker_divergencebranch
WHERE comparison_id = %(comparison)s AND depth = %(depth)s
    AND left(directory, 512) >= left(%(lower)s, 512) AND directory >= %(lower)s
    AND (%(upper)s IS NULL OR left(directory, 512) <= left(%(upper)s, 512) AND directory < %(upper)s)
    AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s::text[]))
GROUP BY directory
HAVING (%(position)s IS NULL OR sum(wrong[%(position)s]) > 0)
    AND (NOT %(only_damaged)s OR sum(damaged) > 0)
ORDER BY left(directory, 512), directory
LIMIT %(limit)s
