-- How many paths a participant sees below each of the directories.
SELECT directory.path, sum(held.visible)
FROM diverging_held AS held
JOIN unnest(%(directories)s::text[]) AS directory(path)
    ON directory.path
        = (%(directories)s::text[])[width_bucket(held.directory, %(directories)s::text[] COLLATE "C")]
WHERE held.position = %(position)s AND starts_with(held.directory, directory.path)
GROUP BY directory.path
