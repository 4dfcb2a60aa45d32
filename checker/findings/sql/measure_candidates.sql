-- Count the paths for which all candidates stand, and find the first and the last path.
SELECT sum(number)::bigint, min(path), max(path) FROM finding_candidate
