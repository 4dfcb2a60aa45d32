-- What the primary had and removed may stay with the others.
UPDATE diverging SET cells = translate(cells, '+-', '~.'), settled = true
FROM (
    SELECT divergence.path
    FROM diverging AS divergence
    JOIN scanner_version AS held ON held.id = (SELECT max(id) FROM unnest(divergence.versions) AS id)
    WHERE substr(divergence.cells, %(position)s, 1) = '-' AND divergence.contents = 1
        AND EXISTS (
            SELECT FROM scanner_version AS earlier
            WHERE earlier.replica_id = %(primary)s AND earlier.from_seq <= %(sequence)s
                AND left(earlier.path, 512) = left(divergence.path, 512) AND earlier.path = divergence.path
                AND earlier.type = held.type AND earlier.sha256 IS NOT DISTINCT FROM held.sha256
                AND (earlier.type = %(file)s OR earlier.detail = held.detail)
        )
) AS lingering
WHERE diverging.path = lingering.path
