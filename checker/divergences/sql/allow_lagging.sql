-- What the primary has had for less than the allowed lag may be missing, or older, on one follower. A run ended at the
-- earlier of what its server and the central server say: a clock that is ahead makes nothing new.
WITH led AS (
    -- Since when the primary has had what it has: the run that began it, however often it was touched since.
    SELECT divergence.path, (
        SELECT max(least(run.finished_at, run.received_at))
        FROM scanner_version AS same
        JOIN scanner_run AS run ON run.replica_id = same.replica_id AND run.sequence = same.from_seq
        WHERE same.replica_id = %(primary)s
            AND left(same.path, 512) = left(divergence.path, 512) AND same.path = divergence.path
            AND same.from_seq <= lead.from_seq
            AND same.type = lead.type AND same.sha256 IS NOT DISTINCT FROM lead.sha256
            AND (same.type = %(file)s OR same.detail = lead.detail)
            AND NOT EXISTS (
                SELECT FROM scanner_version AS before
                WHERE before.replica_id = %(primary)s
                    AND left(before.path, 512) = left(divergence.path, 512) AND before.path = divergence.path
                    AND before.until_seq = same.from_seq
                    AND before.type = same.type AND before.sha256 IS NOT DISTINCT FROM same.sha256
                    AND (before.type = %(file)s OR before.detail = same.detail)
            )
    ) AS begun
    FROM diverging AS divergence
    JOIN scanner_version AS lead ON lead.id = divergence.versions[%(position)s]
    WHERE substr(divergence.cells, %(position)s, 1) = '+'
)
UPDATE diverging SET cells = overlay(cells PLACING '~' FROM %(follower_position)s FOR 1)
FROM led
WHERE diverging.path = led.path AND led.begun + %(lag)s > %(finished)s
    AND (
        -- Missing there. It is no lag when the follower had something there that went while the primary held the path,
        -- as it has done without a break since, however new the content of the primary is.
        substr(cells, %(follower_position)s, 1) = '-' AND NOT EXISTS (
            SELECT FROM scanner_version AS had
            JOIN scanner_run AS gone ON gone.replica_id = had.replica_id AND gone.sequence = had.until_seq
            WHERE had.replica_id = %(follower)s
                AND left(had.path, 512) = left(diverging.path, 512) AND had.path = diverging.path
                AND had.until_seq <= %(follower_sequence)s
                AND NOT EXISTS (
                    SELECT FROM scanner_version AS next
                    WHERE next.replica_id = had.replica_id
                        AND left(next.path, 512) = left(had.path, 512) AND next.path = had.path
                        AND next.from_seq = had.until_seq
                )
                AND EXISTS (
                    SELECT FROM scanner_version AS held
                    JOIN scanner_run AS began ON began.replica_id = held.replica_id AND began.sequence = held.from_seq
                    LEFT JOIN scanner_run AS ended
                        ON ended.replica_id = held.replica_id AND ended.sequence = held.until_seq
                    WHERE held.replica_id = %(primary)s
                        AND left(held.path, 512) = left(diverging.path, 512) AND held.path = diverging.path
                        AND least(began.finished_at, began.received_at) <= least(gone.finished_at, gone.received_at)
                        AND (
                            ended.id IS NULL
                            OR least(ended.finished_at, ended.received_at) > least(gone.finished_at, gone.received_at)
                        )
                )
                AND NOT EXISTS (
                    SELECT FROM scanner_version AS held
                    JOIN scanner_run AS ended ON ended.replica_id = held.replica_id AND ended.sequence = held.until_seq
                    WHERE held.replica_id = %(primary)s
                        AND left(held.path, 512) = left(diverging.path, 512) AND held.path = diverging.path
                        AND held.until_seq <= %(sequence)s
                        AND least(ended.finished_at, ended.received_at) > least(gone.finished_at, gone.received_at)
                        AND NOT EXISTS (
                            SELECT FROM scanner_version AS next
                            WHERE next.replica_id = held.replica_id
                                AND left(next.path, 512) = left(held.path, 512) AND next.path = held.path
                                AND next.from_seq = held.until_seq
                        )
                )
        )
        -- Older there: the primary had that content before.
        OR substr(cells, %(follower_position)s, 1) = '+' AND contents > 1 AND EXISTS (
            SELECT FROM diverging AS divergence
            JOIN scanner_version AS held ON held.id = divergence.versions[%(follower_position)s]
            JOIN scanner_version AS lead ON lead.id = divergence.versions[%(position)s]
            WHERE divergence.path = diverging.path
                AND NOT (held.type = lead.type AND held.sha256 IS NOT DISTINCT FROM lead.sha256
                    AND (held.type = %(file)s OR held.detail = lead.detail))
                AND EXISTS (
                    SELECT FROM scanner_version AS earlier
                    WHERE earlier.replica_id = %(primary)s AND earlier.from_seq <= %(sequence)s
                        AND left(earlier.path, 512) = left(divergence.path, 512) AND earlier.path = divergence.path
                        AND earlier.type = held.type AND earlier.sha256 IS NOT DISTINCT FROM held.sha256
                        AND (earlier.type = %(file)s OR earlier.detail = held.detail)
                )
        )
    )
