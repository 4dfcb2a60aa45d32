-- How many entries each participant has directly in each directory, and how many of them it could see.
-- The part has the state of each participant.
CREATE TEMPORARY TABLE diverging_held AS
SELECT position, directory_of(path) AS directory, count(*) AS number, count(*) FILTER (WHERE NOT blind) AS visible
FROM ({states}) AS state
GROUP BY 1, 2
