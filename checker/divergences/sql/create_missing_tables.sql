-- What is kept of missing directories: each with its finding, and how many paths lie directly in each directory of it.
CREATE TEMPORARY TABLE diverging_absence (
    path text COLLATE "C",
    cells text COLLATE "C",
    mark bytea,
    current boolean,
    position int,
    holder bigint,
    finding_id bigint,
    since timestamptz
);

CREATE TEMPORARY TABLE diverging_directory (
    missing_directory text COLLATE "C",
    directory text COLLATE "C",
    number bigint
)
