-- Directories directly below another one in which something changed, with how many paths changed below each, by kind.
SELECT directory, json_object_agg(kind, number)
FROM checker_branch
WHERE comparison_id = %(comparison)s AND depth = %(depth)s
    AND left(directory, 512) >= left(%(lower)s, 512) AND directory >= %(lower)s
    AND (%(upper)s IS NULL OR left(directory, 512) <= left(%(upper)s, 512) AND directory < %(upper)s)
    AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s::text[]))
GROUP BY directory
ORDER BY left(directory, 512), directory
LIMIT %(limit)s
