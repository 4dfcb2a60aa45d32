-- The topmost directories that some participant has and another one lacks: the parent is on all of them, or it is one
-- of those that had to be split.
SELECT presence.directory, presence.present
FROM diverging_presence AS presence
JOIN diverging_presence AS parent ON parent.directory = presence.parent
WHERE cardinality(presence.present) < %(participants)s
    AND presence.directory <> ALL(%(split)s::text[])
    AND (presence.directory = '' OR cardinality(parent.present) = %(participants)s
        OR parent.directory = ANY(%(split)s::text[]))
    AND presence.number >= %(least)s
ORDER BY presence.number DESC, presence.directory
LIMIT %(most)s
