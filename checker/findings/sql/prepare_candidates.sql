-- An empty table of candidates. It lives as long as the transaction, and serves one kind of finding after another.
CREATE TEMPORARY TABLE IF NOT EXISTS finding_candidate (
    change_id bigint,
    path text COLLATE "C" NOT NULL,
    -- For how many paths the candidate stands.
    number bigint NOT NULL,
    -- The run from which on the path has been as it is now; null where nobody asks for it.
    since integer,
    facts jsonb,
    finding_id bigint,
    is_known boolean NOT NULL DEFAULT false
) ON COMMIT DROP;

TRUNCATE finding_candidate
