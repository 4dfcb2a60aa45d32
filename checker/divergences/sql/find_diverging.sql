-- Fill `diverging` with the paths that are not the same on all participants, and those that one of them could not read.
--
-- It is one pass over the states, grouped by what they say of each path: what all have alike falls out in HAVING. What
-- a missing directory stands for falls out with it. Only the directory that comes last before a path in their sorted
-- list can be above it, since none of them lies in another.
--
-- The parts have an expression for each participant: versionN is what participant N has at the path, and unreadableN
-- says that it could not read it.
CREATE TEMPORARY TABLE diverging AS
SELECT path, ARRAY[{versions}] AS versions, {cells} AS cells, contents, contents_current, false AS settled,
    mark0, mark1, NULL::jsonb AS others, '' COLLATE "C" AS alike
FROM (
    SELECT path, {newest_versions}, {unreadable},
        count(*) FILTER (WHERE NOT blind) AS contents,
        count(*) FILTER (WHERE NOT blind AND ({has_voter})) AS contents_current,
        bit_xor(hash_record_extended(ROW(type, sha256, detail, {identity}), 0)) AS mark0,
        bit_xor(hash_record_extended(ROW(type, sha256, detail, {identity}), 1)) AS mark1
    FROM (
        SELECT path, type, sha256, detail,
            (type = %(error)s OR type = %(special)s AND detail = 'mount') AS blind,
            {own_versions}
        FROM ({states}) AS state
        GROUP BY path, type, sha256, detail
        HAVING type = %(error)s
            OR count(*) < %(participants)s AND NOT (
                cardinality(%(directories)s::text[]) > 0
                AND coalesce(
                    count(*) = (%(holders)s::int[])[width_bucket(path, %(directories)s::text[] COLLATE "C")]
                    AND NOT (type = %(error)s OR type = %(special)s AND detail = 'mount')
                    AND starts_with(
                        path, (%(directories)s::text[])[width_bucket(path, %(directories)s::text[] COLLATE "C")])
                    AND NOT ({is_recent})
                    AND NOT (
                        %(any_own_rows)s
                        AND (%(own_rows)s::boolean[])[width_bucket(path, %(directories)s::text[] COLLATE "C")]
                        AND path IN (SELECT path FROM diverging_own)),
                    false))
    ) AS content
    GROUP BY path
) AS path_in_states
