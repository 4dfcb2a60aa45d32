-- How many paths a participant sees below one directory.
SELECT coalesce(sum(visible), 0) FROM diverging_held
WHERE position = %(position)s AND starts_with(directory, %(path)s)
