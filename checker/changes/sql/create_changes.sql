-- Give each path that differs its kind. `moving` is the content by which a removed path may be paired with an added
-- one.
CREATE TEMPORARY TABLE found_change AS
SELECT row_number() OVER () AS number, difference.path, {kind} AS kind,
    coalesce(last_read.id, CASE WHEN difference.new_id IS NULL THEN difference.old_id END) AS old_id,
    new.id AS new_id, NULL::text COLLATE "C" AS other, false AS departed, note.notes,
    CASE
        WHEN difference.new_id IS NULL THEN CASE last_read.type WHEN %(file)s THEN last_read.sha256 END
        WHEN last_read.id IS NULL AND new.type = %(file)s THEN new.sha256
    END AS moving
FROM difference
LEFT JOIN scanner_version AS last_read ON last_read.id = difference.last_read_id
LEFT JOIN scanner_version AS new ON new.id = difference.new_id
LEFT JOIN run_note AS note ON note.path = difference.path AND note.sequence = new.from_seq;

ANALYZE found_change
